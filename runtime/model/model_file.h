// Every model reader produces this: views into the mapped file, and the numbers that describe the model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "jit/formats/packing.h"
#include "runtime/base/mapped_file.h"
#include "runtime/model/config.h"

namespace llamajit {

// A view of a tensor as the file stores it: row-major (rows, cols), a vector has one row. The views are byte
// spans because files give no alignment.
struct Tensor {
  std::string name;  // as messages and `inspect` show it, e.g. "layers.3.wq"
  jit::Format format;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::span<const std::byte> data;  // as jit::SourceMatrix has them
  std::span<const std::byte> scales;
  // Its rows lie in blocks of this many, so many rows of `data` from one's first to the next one's; 0: all lie
  // one behind the other.
  std::int64_t block = 0, block_stride = 0;

  std::size_t bytes() const { return data.size() + scales.size(); }
  bool exists() const { return rows > 0; }
  // Which of the rows of `data` is row number `row`.
  std::int64_t row_at(std::int64_t row) const {
    return block == 0 ? row : row / block * block_stride + row % block;
  }
};

// As the kernels' packing takes it: all rows of `data`.
jit::SourceMatrix source(const Tensor& tensor);

// Some families only have the tensors that come behind `up`.
struct LayerTensors {
  Tensor att_norm;  // (1, dim), or none
  Tensor wq;        // (query_dim, dim); with a delta net (channels, dim): its queries, keys and values
  Tensor wk;        // (kv_dim, dim)
  Tensor wv;        // (kv_dim, dim)
  Tensor wo;        // (dim, attended_dim)
  Tensor ffn_norm;  // (1, dim); without one, that of attention where both are parallel
  Tensor gate;      // (hidden_dim, dim), where the activation is gated; llama2.c calls it w1
  Tensor down;      // (dim, hidden_dim); w2
  Tensor up;        // (hidden_dim, dim); w3

  // Of a layer with experts: gate, up and down are theirs, one behind the other: (experts * rows, cols).
  Tensor router;                               // (experts, dim)
  Tensor router_bias;                          // (1, experts)
  Tensor router_choice;                        // (1, experts): the bias that only chooses
  Tensor gate_biases, up_biases, down_biases;  // (experts, rows of an expert's matrix)
  Tensor shared_router;                        // (1, dim), where the shared expert is gated
  Tensor shared_gate, shared_up, shared_down;  // as gate, up and down, of shared_hidden_dim
  Tensor expert_scales;                        // (1, experts): of their weights, too
  // (1, dim), where the experts have norms of their own: of what the router and they take, and what they and
  // the shared one give.
  Tensor router_norm, expert_norm, expert_post_norm, shared_post_norm;

  // Of latent attention: queries' vector (query_rank, dim) and its norm, out of which wq makes them; wk then
  // has the rows of what is rotated, (rope.dims, dim), and wv those of the latent vector, (rank, dim), with
  // its norm (1, rank). Of each head, one behind the other: what brings its queries to that vector's space,
  // (rank, key_dim), and what makes its values of what attention gives, (value_dim, rank).
  Tensor q_down, q_down_norm, latent_norm, absorb, raise;

  Tensor att_gate;  // (attended_dim, dim), where attention is gated, and with a delta net
  // What a layer gets from the token's embedding, where it does: (layer_input_dim, dim) and back.
  Tensor input_gate, input_down;
  Tensor input_norm;    // (1, dim): of what that adds to the stream
  Tensor output_scale;  // (1, 1): of the stream behind the layer
  // Of a delta net.
  Tensor delta_decay, delta_rate;    // (value_heads, dim)
  Tensor delta_conv;                 // (channels, taps)
  Tensor delta_decay_bias, delta_a;  // (1, value_heads)
  Tensor delta_norm;                 // (1, value_dim): of each head's result

  Tensor att_norm_bias, ffn_norm_bias;                            // (1, dim)
  Tensor wq_bias, wk_bias, wv_bias, wo_bias, up_bias, down_bias;  // (1, rows of the matrix)
  // (1, 1): what products with the matrix are multiplied with.
  Tensor wq_scale, wk_scale, wv_scale, wo_scale, gate_scale, up_scale, down_scale;
  // Of queries and keys, before RoPE: (1, head_dim), where each head has its own or they are normed together
  // (1, q_dim) and (1, kv_dim).
  Tensor q_norm, k_norm;
  // (1, dim): of what attention and feed-forward add to the stream.
  Tensor att_post_norm, ffn_post_norm;
  // (1, dim): of the stream behind attention, and behind the layer.
  Tensor att_output_norm, att_output_norm_bias, layer_output_norm, layer_output_norm_bias;
  Tensor sinks;         // (1, n_heads): of attention
  Tensor att_sub_norm;  // (1, q_dim): of attention's result, before wo
  Tensor ffn_sub_norm;  // (1, hidden_dim): before down
};

// The row of a query's or key's matrix in the file, or the value of a vector that goes with it, that is
// number `row` of the packed one, where the two of each rotated pair stand side by side: attention's scores
// are the same for every order of a head's dimensions that queries and keys share.
std::int64_t rotated_row(const LayerShape& shape, std::int64_t row);

struct ModelFile {
  std::vector<MappedFile> parts;  // one, or those of a split file; own the bytes that views point into,
  std::vector<std::vector<std::byte>> rearranged;  // but for what no part has as a Tensor has it
  std::string file_format;                         // "llama2.c v0 (float32)"
  Config config;
  Tensor embedding;    // (vocab_size, dim)
  Tensor positions;    // (seq_len, dim): added to the embedding, where there is one
  Tensor token_types;  // (types, dim): the first row is added, too, where there are any
  Tensor embedding_norm, embedding_norm_bias;  // (1, dim): of their sum, where there is one
  // What all layers get, one's behind the other's: an embedding of its own (vocab_size, layers *
  // layer_input_dim), and a part of the other one, by a matrix (layers * layer_input_dim, dim) and a norm of
  // each layer's (1, layer_input_dim).
  Tensor layer_inputs, layer_input_matrix, layer_input_norm;
  // Of a layer that drafts for a model: norms (1, dim) of a token's embedding and of the model's hidden state, and what
  // makes the layer's input (dim, 2 dim) of the two, the embedding before. An embedding or a classifier that it has not
  // is the model's.
  Tensor token_norm, hidden_norm, input_projection;
  std::vector<LayerTensors> layers;
  Tensor final_norm;       // (1, dim), or none
  Tensor final_norm_bias;  // (1, dim), where there is one
  Tensor classifier;       // (vocab_size, dim); the same view as embedding where shared
  Tensor classifier_bias;  // (1, vocab_size), where there is one

  // The file's; the first part's of a split one.
  const std::string& path() const { return parts.front().path(); }
  // Throws std::runtime_error that names the file if part of it is gone since it was mapped.
  void check_intact() const;
  // Lets go of the memory of all parts, or of those of these bytes that lie in some part, as MappedFile does.
  void drop_pages() const noexcept;
  void drop_pages(std::span<const std::byte> bytes) const noexcept;
  // Every tensor of the file in file order, the shared classifier once.
  std::vector<const Tensor*> tensors() const;
};

}  // namespace llamajit
