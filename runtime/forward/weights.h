// A model's weights in the layout that the kernels read.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "jit/formats/packing.h"
#include "jit/kernels/kernels.h"
#include "runtime/base/memory.h"
#include "runtime/base/split.h"
#include "runtime/base/team.h"
#include "runtime/forward/packed_file.h"
#include "runtime/model/model_file.h"

namespace llamajit {

// A matrix in R16 tiles (jit/formats/packing.h), and what is done with products behind it. A paired one
// interleaves the tiles of gate and up. Its units are a tile each, or a pair. A rank has a part of the units alone, where
// they would be if all were there.
struct PackedMatrix {
  jit::Format format{};
  int rows = 0;
  int cols = 0;
  int tiles_per_unit = 1;         // 2 where paired
  int copies = 1;                 // matrices of this shape: experts
  Split::Part own{};              // the units that are here, of each copy
  bool is_split = false;          // whether other ranks have others
  std::int64_t copy_stride = 0;   // bytes from one copy to the next
  std::byte* data = nullptr;      // where unit 0 is, or would be
  const float* scales = nullptr;  // (tiles_per_unit), or none
  const float* bias = nullptr;    // (copies, tiles_per_unit, rows), or none

  jit::Affine affine() const { return {scales != nullptr, bias != nullptr}; }
  std::int64_t all_units() const { return jit::divide_up(rows, jit::kLanes); }
  std::int64_t units() const { return own.second - own.first; }
  std::int64_t unit_bytes() const { return tiles_per_unit * jit::tile_bytes(format, cols); }
  std::int64_t matrix_bytes() const { return units() * unit_bytes(); }
  std::int64_t bytes() const { return matrix_bytes() * copies; }
  std::int64_t biases() const { return std::int64_t{tiles_per_unit} * rows; }  // of one copy
  bool exists() const { return data != nullptr; }
  const std::byte* begin() const {
    return data + own.first * unit_bytes();
  }  // of what is here, if anything is
};

struct NormWeights {
  const float* weight = nullptr;  // (dim)
  const float* bias = nullptr;    // (dim), LayerNorm only; zeros where the file has none

  bool exists() const { return weight != nullptr; }
};

// What a delta net has beside its matrices.
struct DeltaWeights {
  PackedMatrix decay, rate;           // (value_heads, dim)
  const float* conv = nullptr;        // (taps, row_stride(channels))
  const float* decay_bias = nullptr;  // (value_heads)
  const float* a = nullptr;           // (value_heads)
  const float* norm = nullptr;        // (value_dim)
  // (key_dim): what makes an RMSNorm the L2 norm of keys, and that of queries divided by sqrt(key_dim).
  const float *key_norm = nullptr, *query_norm = nullptr;
};

// What latent attention has beside wq, wk and wv.
struct LatentWeights {
  PackedMatrix q_down;                 // (query_rank, dim), or none
  const float* q_down_norm = nullptr;  // (query_rank)
  const float* norm = nullptr;         // (rank)
  PackedMatrix absorb, raise;          // a copy for each head: (rank, key_dim), (value_dim, rank)
};

// Norms without weights are not computed.
struct LayerWeights {
  NormWeights att_norm;
  PackedMatrix wq, wk, wv;        // (query_dim, dim), (kv_dim, dim), (kv_dim, dim); as LayerTensors has them
  PackedMatrix att_gate;          // (attended_dim, dim), or none
  const float* v_norm = nullptr;  // (head_dim): ones, or none
  LatentWeights latent;
  DeltaWeights delta;
  NormWeights q_norm, k_norm;     // as LayerTensors has them; a bias is one head's
  const float* sinks = nullptr;   // (n_heads), or none
  const float* slopes = nullptr;  // (n_heads): of ALiBi, not positive; or none
  const float* att_sub_norm;      // (q_dim), or none
  PackedMatrix wo;                // (dim, q_dim)
  NormWeights att_post_norm;
  NormWeights ffn_norm;
  PackedMatrix gate_up;       // (hidden_dim, dim), paired; up alone where nothing is gated
  const float* ffn_sub_norm;  // (hidden_dim), or none
  PackedMatrix down;          // (dim, hidden_dim)
  NormWeights ffn_post_norm;
  NormWeights att_output_norm, layer_output_norm;
  // With experts, gate_up and down are theirs.
  PackedMatrix router;                   // (experts, dim)
  const float* router_choice = nullptr;  // (experts), or none
  int experts_used = 0;
  const float* expert_scales = nullptr;  // (experts), or none
  // Where experts have norms of their own: as LayerTensors has them.
  NormWeights router_norm, expert_norm, expert_post_norm, shared_post_norm;
  PackedMatrix shared_router;           // (1, dim), where the shared expert is gated
  PackedMatrix input_gate, input_down;  // (layer_input_dim, dim), (dim, layer_input_dim), or none
  NormWeights input_norm;
  const float* output_scale = nullptr;       // (dim): all the same, or none
  PackedMatrix shared_gate_up, shared_down;  // (shared_hidden_dim, dim), paired, and (dim, shared_hidden_dim)

  // Whether attention and feed-forward start from the same norm of the stream.
  bool share_norm(const LayerShape& shape) const { return shape.parallel_residual && !ffn_norm.exists(); }
};

// Which matrices of floats are multiplied as bf16, with inputs that are rounded so.
enum class Bf16Products : std::uint8_t {
  stored_so,   // those that the file has in BF16: their weights are exact
  all_floats,  // those in F32 and F16 too, after rounding
  none,
};
bool as_pairs(jit::Format format, Bf16Products which);

struct PackJob;

class Weights {
 public:
  // Packs all of the file's tensors, of those that are split the rank's part; each thread of the team packs the rows
  // that it will later multiply, so that memory lies near its reader. Matrices that `bf16` names become bf16_pairs.
  // Throws std::runtime_error if the file was cut short meanwhile, and where a weight is no finite number: it
  // names the tensor and the place. A layer that drafts has its embedding and its classifier from `model`, whose weights
  // must outlive it, where it brings none.
  Weights(const ModelFile& file, Team& team, Bf16Products bf16, const Split& split = {},
          const Weights* model = nullptr);
  // Maps what write_packed() wrote of such ones. Throws std::runtime_error where `packed` is not of this model and
  // `bf16`.
  Weights(const ModelFile& file, const std::string& packed, Bf16Products bf16, const Split& split = {});

  PackedMatrix embedding;    // (vocab_size, dim)
  PackedMatrix positions;    // (seq_len, dim), or none
  PackedMatrix token_types;  // (types, dim), or none
  NormWeights embedding_norm;
  PackedMatrix layer_inputs;                // (vocab_size, layers * layer_input_dim), or none
  PackedMatrix layer_input_matrix;          // (layers * layer_input_dim, dim), with its factor
  const float* layer_input_norm = nullptr;  // (layer_input_dim), with a factor
  NormWeights token_norm, hidden_norm;  // of a layer that drafts, as input_projection: as ModelFile has them
  PackedMatrix input_projection;        // (dim, 2 dim), or none
  PackedMatrix classifier;              // (vocab_size, dim), may be the same memory; encoders have none
  std::vector<LayerWeights> layers;
  NormWeights final_norm;

  std::size_t bytes() const { return packed_ ? packed_->weights().size() : memory_.size(); }
  const std::byte* data() const { return packed_ ? packed_->weights().data() : memory_.data(); }
  bool is_mapped() const { return packed_.has_value(); }
  // Throws std::runtime_error if the packed file was cut short meanwhile.
  void check_intact() const {
    if (packed_) packed_->check_intact();
  }
  // Bytes of weights that the feed of one token reads here, with the classifier.
  std::int64_t bytes_per_token() const;

 private:
  class Layout;
  static void lay_out_attention(Layout& layout, const LayerTensors& from, const LayerShape& shape,
                                LayerWeights& to);
  static void lay_out_latent(Layout& layout, const LayerTensors& from, const LayerShape& shape,
                             LayerWeights& to);
  static void lay_out_delta(Layout& layout, const LayerTensors& from, const DeltaNet& shape,
                            LayerWeights& to);
  static void lay_out_experts(Layout& layout, const LayerTensors& from, const LayerShape& shape,
                              LayerWeights& to);
  struct Plan {
    Bf16Products bf16;
    const Split& split;
    bool whole;  // there is room for all units, whoever has them: a packed file
    const Weights* model = nullptr;
  };
  std::vector<PackJob> lay_out(const ModelFile& file, Carver& carver, const Plan& plan, bool fills);

  PagedMemory memory_;
  std::optional<PackedFile> packed_;
};

}  // namespace llamajit
