// The steps of several rows at once: prompt chunks, and tokens of several sequences.
#pragma once

#include <vector>

#include "runtime/forward/row_state.h"

namespace llamajit {

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

  Program feed;        // takes the rows at state.at through all layers
  Program classify;    // logits and best of the first rows of state.classified
  Program final_norm;  // the first rows of state.x to state.norm

 private:
  class Writer;

  StepMemory step_memory_;
};

}  // namespace llamajit
