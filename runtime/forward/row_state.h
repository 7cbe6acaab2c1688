// What the rows of a step are while they go through the layers.
#pragma once

#include <cstdint>
#include <vector>

#include "jit/formats/activations.h"
#include "jit/kernels/argmax.h"
#include "runtime/base/memory.h"
#include "runtime/forward/lowering.h"

namespace llamajit {

// Elements from a row of a prepared input to the next one's.
struct PreparedStrides {
  PreparedStrides(const jit::InputFormat& format, int n)
      : codes(jit::prepared_stride(format.codes_bytes(n))),
        groups(format.groups(n)),
        subgroups(format.subgroups(n)) {}
  std::int64_t codes, groups, subgroups;
};

// What the rows' programs write and read: matrices with a row for each, rows row_stride() apart.
struct RowState {
  static constexpr int kClassified = 32;  // rows whose logits are computed at once

  // For up to `rows` rows at once.
  RowState(const Model& model, int rows);

  PagedMemory memory;
  int rows;
  std::vector<std::vector<jit::Cursor>> at;  // (kinds of layers, rows)
  // The same of the last token that each row's token sees; of encoders alone.
  std::vector<std::vector<jit::Cursor>> text_ends;
  float* x = nullptr;     // (rows, dim): the residual stream
  float* norm = nullptr;  // (rows, dim)
  float* q = nullptr;     // (rows, q_dim)
  float* k = nullptr;     // (rows, kv_dim)
  float* v = nullptr;     // (rows, kv_dim)
  float* att = nullptr;   // (rows, attended_dim)
  // Of latent attention:
  float* low = nullptr;          // (rows, query_rank)
  float* queries = nullptr;      // (rows, query_dim)
  float* rotated_key = nullptr;  // (rows, rope.dims)
  float* values = nullptr;       // (rows, latent_values)
  float* gate = nullptr;         // (rows, attended_dim), where attention is gated, and of a delta net:
  float* mixed = nullptr;        // (rows, channels)
  float* convolved = nullptr;    // (rows, channels)
  float* decay = nullptr;        // (rows, value_heads)
  float* rate = nullptr;         // (rows, value_heads)
  float* hidden = nullptr;       // (rows, hidden_dim)
  float* inputs = nullptr;       // (rows, layers * layer_input_dim): what layers get from the embedding
  float* projected = nullptr;    // the same: a part of it
  // Of a layer that drafts: the model's hidden states that rows bring, and (rows, 2 dim) what comes of them.
  float* given = nullptr;
  float* joined = nullptr;
  float* input_hidden = nullptr;  // (rows, layer_input_dim)
  float* branch = nullptr;        // (rows, dim): what is normed before the stream takes it
  float* classified = nullptr;    // (kClassified, dim): the residual stream of rows that want logits
  float* logits = nullptr;        // (kClassified, vocab_size)
  jit::Best* best = nullptr;      // (kClassified)
  // Of mixtures of experts; their rows stand by expert (experts.h).
  float* router = nullptr;                   // (rows, experts): their logits
  float* shared_router = nullptr;            // (rows, 1)
  std::int32_t* ids = nullptr;               // (rows, used)
  float* weights = nullptr;                  // (rows, slots)
  float* expert_x = nullptr;                 // (positions, dim)
  float* expert_hidden = nullptr;            // (positions, hidden_dim)
  float* expert_results = nullptr;           // (positions, dim)
  jit::QuantizedArgs expert_prepared;        // (positions, dim or hidden_dim)
  std::vector<float*> route_scratch;         // of each thread
  std::vector<jit::QuantizedArgs> prepared;  // an input, in each way in which its matrices want it
  std::vector<std::byte*> matmul_scratch;    // of each thread
  std::vector<float*> attention_scratch;     // of each thread
  std::vector<float*> head_in, head_out;     // (rows, …), of each thread: a head's input and its product

 private:
  void place(Carver& carver, const Model& model);
  void place_prepared(Carver& carver, const Model& model);
  void place_experts(Carver& carver, const Model& model);
};

}  // namespace llamajit
