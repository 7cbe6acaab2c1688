#include "runtime/measure/input_squares.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "runtime/base/numbers.h"

namespace llamajit {
namespace {

// Tensors as GGUF calls them, of which readers may have made parts: "blk.0.attn_qkv.weight (q)". Where `file` is no
// GGUF file, `part` is the name there.
std::string gguf_name(const ModelFile& file, const Tensor& tensor, const std::string& part) {
  if (!file.file_format.starts_with("GGUF")) return part;
  return tensor.name.substr(0, tensor.name.find(" ("));
}

// Where rows of inputs are, and how far apart.
struct Inputs {
  const float* x;
  std::int64_t stride;
};

}  // namespace

class InputCollector::Sums {
 public:
  Sums(const Engine& engine, const ModelFile& file, bool output) : threads_(engine.threads()) {
    gathered_.resize(static_cast<std::size_t>(threads_));
    const Weights& weights = engine.weights();
    if (file.layer_input_matrix.exists()) add(file, file.layer_input_matrix, weights.layer_input_matrix, "");
    for (std::size_t i = 0; i < file.layers.size(); ++i) add_layer(file, i, weights.layers[i]);
    if (output) {
      const bool shared = file.config.shared_classifier;
      classifier_ =
          &add(file, file.classifier, weights.classifier, shared ? "token_embd.weight" : "output.weight");
    }
  }

  // Behind a step, on each thread.
  void see(const Step& step, const Rows& rows, int thread) {
    if (step.calls == Calls::places) {
      gathered_[static_cast<std::size_t>(thread)] = &step;
    } else if (step.calls == Calls::experts) {
      see_experts(step, thread);
    } else if (const auto* key = std::get_if<jit::MatmulKey>(&step.target.kernel->key)) {
      const auto& args = *static_cast<const jit::MatmulArgs*>(step.args);
      const auto found = by_data_.find(args.w);
      if (found == by_data_.end()) return;
      const Place place = found->second;
      const Inputs inputs{args.x, jit::row_stride(key->cols)};
      // A head's inputs are its thread's own.
      const bool alone = step.calls != Calls::units;
      const auto [begin, end] =
          alone ? std::pair<std::int64_t, std::int64_t>(0, key->cols) : share_of(key->cols, thread, threads_);
      add_rows(place, inputs, rows.n, begin, end);
      if (alone || thread == 0) count(place, rows.n);
    }
  }

  void see_output(const Inputs& inputs, std::int64_t rows) {
    if (classifier_ == nullptr) return;
    const Place place{classifier_, 0};
    add_rows(place, inputs, rows, 0, classifier_->cols);
    count(place, rows);
  }

  void check_finite(std::string_view path) const {
    for (const InputSquares* const tensor : order_) {
      // Files have floats.
      const auto bad = std::ranges::find_if(
          tensor->sums, [](double sum) { return !std::isfinite(static_cast<float>(sum)); });
      if (bad == tensor->sums.end()) continue;
      throw std::runtime_error(fmt::format(
          "{}: inputs of {}: expected finite numbers, found a sum of {} in column {}", path, tensor->name,
          without_sign_of_nan(static_cast<float>(*bad)), (bad - tensor->sums.begin()) % tensor->cols));
    }
  }

  std::vector<InputSquares> result() const {
    std::vector<InputSquares> tensors;
    for (const InputSquares* const tensor : order_) {
      tensors.push_back(*tensor);
      for (const auto& [name, same] : beside_) {
        if (same != tensor) continue;
        tensors.push_back(*tensor);
        tensors.back().name = name;
      }
    }
    return tensors;
  }

 private:
  // One matrix of a tensor.
  struct Place {
    InputSquares* tensor;
    std::int64_t matrix;
  };

  // Parts of one tensor have the same inputs, of which one is looked at.
  InputSquares& add(const ModelFile& file, const Tensor& tensor, const PackedMatrix& matrix,
                    const std::string& part) {
    const std::string name = gguf_name(file, tensor, part);
    const auto [at, is_new] = by_name_.try_emplace(name);
    InputSquares& to = at->second;
    if (!is_new) return to;
    to.name = name;
    to.cols = matrix.cols;
    const auto copies = static_cast<std::size_t>(matrix.copies);
    to.sums.resize(copies * static_cast<std::size_t>(matrix.cols));
    to.counts.resize(copies);
    for (std::int64_t i = 0; i < matrix.copies; ++i) {
      by_data_.emplace(matrix.data + i * matrix.copy_stride, Place{&to, i});
    }
    order_.push_back(&to);
    return to;
  }
  // Another tensor that is multiplied with the same matrix' inputs: gate beside up.
  void add_beside(const ModelFile& file, const Tensor& tensor, const PackedMatrix& matrix,
                  const std::string& part) {
    if (!tensor.exists()) return;
    const std::string name = gguf_name(file, tensor, part);
    if (!by_name_.contains(name)) beside_.emplace_back(name, by_data_.at(matrix.data).tensor);
  }

  void add_layer(const ModelFile& file, std::size_t index, const LayerWeights& to) {
    const LayerTensors& from = file.layers[index];
    const auto add_if = [&](const Tensor& tensor, const PackedMatrix& matrix, std::string_view part) {
      if (tensor.exists() && matrix.exists())
        add(file, tensor, matrix, fmt::format("blk.{}.{}.weight", index, part));
    };
    add_if(from.q_down, to.latent.q_down, "");
    add_if(from.wq, to.wq, "attn_q");
    add_if(from.wk, to.wk, "attn_k");
    add_if(from.wv, to.wv, "attn_v");
    if (!from.absorb.name.ends_with(" (keys)")) {
      add_if(from.absorb, to.latent.absorb, "");
      add_if(from.raise, to.latent.raise, "");
    }
    add_if(from.att_gate, to.att_gate, "");
    add_if(from.delta_decay, to.delta.decay, "");
    add_if(from.delta_rate, to.delta.rate, "");
    add_if(from.wo, to.wo, "attn_output");
    add_if(from.router, to.router, "");
    add_if(from.shared_router, to.shared_router, "");
    add_if(from.up, to.gate_up, "ffn_up");
    if (from.gate.exists())
      add_beside(file, from.gate, to.gate_up, fmt::format("blk.{}.ffn_gate.weight", index));
    add_if(from.down, to.down, "ffn_down");
    add_if(from.shared_up, to.shared_gate_up, "");
    if (from.shared_gate.exists()) add_beside(file, from.shared_gate, to.shared_gate_up, "");
    add_if(from.shared_down, to.shared_down, "");
    add_if(from.input_gate, to.input_gate, "");
    add_if(from.input_down, to.input_down, "");
  }

  // Of this thread's columns, where threads share them.
  static void add_rows(const Place& place, const Inputs& inputs, std::int64_t rows, std::int64_t begin,
                       std::int64_t end) {
    double* const sums = place.tensor->sums.data() + place.matrix * place.tensor->cols;
    for (std::int64_t row = 0; row < rows; ++row) {
      const float* const x = inputs.x + row * inputs.stride;
      for (std::int64_t i = begin; i < end; ++i)
        sums[i] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    }
  }
  static void count(const Place& place, std::int64_t rows) {
    place.tensor->counts[static_cast<std::size_t>(place.matrix)] += rows;
  }

  // Inputs of experts that are multiplied as codes are those that were quantised: the rows' own, or experts'.
  void see_experts(const Step& step, int thread) {
    const ExpertProduct& product = *step.experts;
    const auto found = by_data_.find(product.many_args.w);
    if (found == by_data_.end()) return;
    InputSquares& tensor = *found->second.tensor;
    const auto [begin, end] = share_of(tensor.cols, thread, threads_);
    Inputs inputs{product.many_args.x, jit::row_stride(static_cast<int>(tensor.cols))};
    bool by_row = false;
    if (inputs.x == nullptr) {
      const Step& gather = *gathered_[static_cast<std::size_t>(thread)];
      inputs.x = static_cast<const jit::QuantizeArgs*>(gather.args)->x;
      by_row = gather.rows != nullptr;
    }
    const std::span<const ExpertTable::Chosen> chosen = step.table->chosen();
    for (const ExpertTable::Place& at : step.table->places()) {
      const auto behind = std::ranges::upper_bound(chosen, at.position, {}, &ExpertTable::Chosen::first);
      const Place place{&tensor, std::prev(behind)->expert};
      const float* const x = inputs.x + (by_row ? at.row : at.position) * inputs.stride;
      add_rows(place, {x, 0}, 1, begin, end);
      if (thread == 0) count(place, 1);
    }
  }

  int threads_;
  std::unordered_map<std::string, InputSquares> by_name_;  // addresses stay
  std::unordered_map<const std::byte*, Place> by_data_;
  std::vector<const InputSquares*> order_;
  std::vector<std::pair<std::string, const InputSquares*>> beside_;
  InputSquares* classifier_ = nullptr;
  std::vector<const Step*> gathered_;  // each thread's last step that gave experts their inputs
};

InputCollector::InputCollector(Engine& engine, const ModelFile& file, bool output)
    : engine_(engine), path_(file.path()), sums_(std::make_unique<Sums>(engine, file, output)) {}

InputCollector::~InputCollector() = default;

void InputCollector::feed(std::span<const TokenId> tokens) {
  engine_.weights().check_intact();
  engine_.sequence().cut(0);
  RowsProgram& program = engine_.rows_program(engine_.chunk());
  while (!tokens.empty()) {
    const std::size_t n = std::min(tokens.size(), static_cast<std::size_t>(engine_.chunk()));
    Batch batch;
    batch.add(engine_.sequence(), tokens.first(n), n);
    const Rows rows = engine_.place(batch.rows());
    run_seen(program.feed, rows, engine_.team(),
             [&](const Step& step, int thread) { sums_->see(step, rows, thread); });
    run(program.final_norm, {rows.n, {}}, engine_.team());
    const RowState& state = engine_.rows();
    const bool norms = engine_.weights().final_norm.exists();
    sums_->see_output({norms ? state.norm : state.x, jit::row_stride(engine_.config().dim)}, rows.n);
    tokens = tokens.subspan(n);
  }
  sums_->check_finite(path_);
}

std::vector<InputSquares> InputCollector::result() const {
  return sums_->result();
}

}  // namespace llamajit
