// What the two lowerings of the forward pass have in common: writing one thread's steps.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <map>
#include <memory_resource>
#include <optional>
#include <utility>
#include <vector>

#include "jit/code/code_cache.h"
#include "runtime/forward/kv_cache.h"
#include "runtime/forward/rope_table.h"
#include "runtime/forward/step.h"
#include "runtime/forward/tuning.h"
#include "runtime/forward/weights.h"

namespace llamajit {

// What programs are made for; all of it must outlive them.
struct Model {
  const Config& config;
  const Weights& weights;
  const KvCache& cache;
  const RopeTables& rope;
  const Tuning& tuning;
  jit::CodeCache& code;
  int threads;
};

// Args, members and deals that live as long as the programs that point to them.
class StepMemory {
 public:
  template <class T>
  const T* keep(const T& value) {
    return new (memory_.allocate(sizeof(T), alignof(T))) T(value);
  }
  // Shared heads' tiles are linked once the code is published.
  AttentionHeads* keep_heads(const AttentionHeads& heads) {
    auto* const kept = const_cast<AttentionHeads*>(keep(heads));
    tiles_.push_back(&kept->tile);
    return kept;
  }
  // The deal of a matrix in one program, whichever thread asks first.
  Deal* deal(const std::byte* matrix, std::int64_t units, std::int64_t portion, int threads) {
    return &deals_.try_emplace(matrix, units, portion, threads).first->second;
  }
  void link() {
    for (Target* tile : tiles_) tile->link();
  }

 private:
  std::pmr::monotonic_buffer_resource memory_;
  std::map<const std::byte*, Deal> deals_;  // of matrices, by their first byte
  std::vector<Target*> tiles_;
};

using Matrices = std::initializer_list<const PackedMatrix*>;

// Whether matrices want an input prepared, and in which ways, each once.
std::vector<jit::InputFormat> input_formats(Matrices matrices);
// The inputs of a model's matrices: those that share one stand together.
std::vector<std::vector<const PackedMatrix*>> matrix_inputs(const Weights& weights);

// A portion of a matrix that takes a few microseconds to read, much longer than to take it from a deal; at
// least one unit.
std::int64_t dealt_portion(const PackedMatrix& matrix);

class Lowering {
 public:
  Lowering(const Model& model, StepMemory& memory, int thread)
      : m_(model), memory_(memory), thread_(thread) {}

  // Steps go to this program's list from here on, for this layer; -1: before or behind the layers.
  void write_to(Program& program) { steps_ = &program.threads[static_cast<std::size_t>(thread_)]; }
  void enter_layer(int layer) { layer_ = layer; }

  void meet() {
    if (m_.threads > 1) steps_->push_back({});
  }

 protected:
  template <class Key>
  Step& call(Role role, const Key& key, const typename Key::Args& args) {
    static_assert(sizeof args <= RowArgs::kMost);
    Step step;
    step.target.kernel = &m_.code.get(key).info();
    step.args = memory_.keep(args);
    step.args_bytes = sizeof args;
    step.role = role;
    step.layer = layer_;
    return steps_->emplace_back(step);
  }
  std::size_t layer_index() const { return static_cast<std::size_t>(layer_); }
  std::pair<std::int64_t, std::int64_t> share(std::int64_t n) const {
    return share_of(n, thread_, m_.threads);
  }
  HeadDeal heads(const LayerShape& shape) const { return {shape, m_.threads}; }

  const Model& m_;
  StepMemory& memory_;
  int thread_;
  int layer_ = -1;
  std::vector<Step>* steps_ = nullptr;
};

}  // namespace llamajit
