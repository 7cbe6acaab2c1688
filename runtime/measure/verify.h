// Holds a model's kernels against their scalar twins, on the model's own weights.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "jit/base/isa.h"
#include "runtime/forward/engine.h"

namespace llamajit {

struct VerifyRow {
  std::string kernel;
  std::string shape;
  int calls = 0;               // compared
  std::int64_t values = 0;     // compared
  std::int64_t different = 0;  // whose bits differ, but for two NaNs'
  double largest_error = 0;    // max |kernel - twin| / max |twin| of a call
};

// Feeds a few tokens through the tier's kernels, then walks the steps of one more, as one thread and as
// several do: each runs as generated and as its twin from the same state, and what they wrote is compared.
// Kernels that only sampling uses are included. One row a kernel, in the order of their first call. Twins run on so many
// `threads`.
// `precision` is that of EngineOptions. With ranks, all of them call it, and each compares its own.
std::vector<VerifyRow> verify_kernels(const ModelFile& file, jit::Isa isa, const Precision& precision = {},
                                      Ranks* ranks = nullptr, const std::vector<int>& shares = {},
                                      int threads = 1);

// The number of weights whose packed value is not the file's, rounded where `precision` says so, over all
// matrices; 0 when packing is right.
// With ranks, those of this one.
std::int64_t verify_packing(const ModelFile& file, const Precision& precision = {}, const Split& split = {},
                            int threads = 1);

}  // namespace llamajit
