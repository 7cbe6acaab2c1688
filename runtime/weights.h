// A model's weights in the layout that the kernels read.
#pragma once

#include <cstddef>
#include <vector>

#include "jit/formats/packing.h"
#include "jit/kernels.h"
#include "runtime/memory.h"
#include "runtime/model_file.h"
#include "runtime/team.h"

namespace llamajit {

// A matrix in R16 tiles (jit/formats/packing.h). A paired one interleaves the tiles of gate and up.
struct PackedMatrix {
  jit::Format format;
  int rows = 0;
  int cols = 0;
  int tiles_per_unit = 1;  // 2 where paired
  std::byte* data = nullptr;

  std::int64_t units() const { return jit::divide_up(rows, jit::kLanes); }
  std::int64_t bytes() const { return units() * tiles_per_unit * jit::tile_bytes(format, cols); }
};

struct LayerWeights {
  const float* att_norm;    // (dim)
  PackedMatrix wq, wk, wv;  // (q_dim, dim), (kv_dim, dim), (kv_dim, dim)
  PackedMatrix wo;          // (dim, q_dim)
  const float* ffn_norm;    // (dim)
  PackedMatrix gate_up;     // (hidden_dim, dim), paired
  PackedMatrix down;        // (dim, hidden_dim)
};

class Weights {
 public:
  // Packs all of the file's tensors; each thread of the team packs the rows that it will later multiply, so
  // that memory lies near its reader. Throws std::runtime_error if the file was cut short meanwhile.
  Weights(const ModelFile& file, Team& team);

  PackedMatrix embedding;   // (vocab_size, dim)
  PackedMatrix classifier;  // (vocab_size, dim), may be the same memory
  std::vector<LayerWeights> layers;
  const float* final_norm = nullptr;  // (dim)

  std::size_t bytes() const { return memory_.size(); }
  const std::byte* data() const { return memory_.data(); }
  // Bytes of weights that the feed of one token reads, with the classifier.
  std::int64_t bytes_per_token() const;

 private:
  struct PackJob;
  std::vector<PackJob> lay_out(const ModelFile& file, Carver& carver);

  PagedMemory memory_;
};

}  // namespace llamajit
