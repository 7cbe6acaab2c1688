// The steps of several rows at once: prompt chunks, and tokens of several sequences.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "jit/kernels/argmax.h"
#include "runtime/base/memory.h"
#include "runtime/forward/lowering.h"

namespace llamajit {

// What the rows' programs write and read: matrices with a row for each, rows row_stride() apart.
struct RowState {
  static constexpr int kClassified = 32;  // rows whose logits are computed at once

  // For up to `rows` rows at once.
  RowState(const Model& model, int rows);

  PagedMemory memory;
  int rows;
  std::vector<jit::Cursor> at;  // (rows)
  float* x = nullptr;           // (rows, dim): the residual stream
  float* norm = nullptr;        // (rows, dim)
  float* q = nullptr;           // (rows, q_dim)
  float* k = nullptr;           // (rows, kv_dim)
  float* v = nullptr;           // (rows, kv_dim)
  float* att = nullptr;         // (rows, q_dim)
  float* hidden = nullptr;      // (rows, hidden_dim)
  float* classified = nullptr;  // (kClassified, dim): the residual stream of rows that want logits
  float* logits = nullptr;      // (kClassified, vocab_size)
  jit::Best* best = nullptr;    // (kClassified)
  std::vector<jit::QuantizedArgs> prepared;  // an input, in each way in which its matrices want it
  std::vector<std::byte*> matmul_scratch;    // of each thread
  std::vector<float*> attention_scratch;     // of each thread

 private:
  void place(Carver& carver, const Model& model);
  void place_prepared(Carver& carver, const Model& model);
};

// Each matrix is read once for all rows. Work on single rows (norm, quantisation) is split by rows, attention
// by heads, of which threads that share one each take some rows, and matrices are dealt out by their own
// rows; between these lies a barrier:
//
//   embedding, norm (+quantise) | q, k, v | rope -> append, attention | quantise | o, x += | norm (+quantise)
//   | gate, up, swiglu | quantise | down, x +=, and so on
//
// All results are the bits that each row has alone.
class RowsProgram {
 public:
  // What multiplies: matvec for exactly `tokens` rows, of which some may mean nothing, or where that is 0
  // matmul for any number.
  RowsProgram(const Model& model, RowState& state, int tokens);
  RowsProgram(const RowsProgram&) = delete;
  RowsProgram& operator=(const RowsProgram&) = delete;
  ~RowsProgram() = default;

  void link();

  Program feed;      // takes the rows at state.at through all layers
  Program classify;  // logits and best of the first rows of state.classified

 private:
  class Writer;

  StepMemory step_memory_;
};

}  // namespace llamajit
