// What a token costs, as the model's file has it: before anything is packed.
#pragma once

#include <cstdint>

#include "jit/base/element_type.h"
#include "jit/kernels/route.h"
#include "runtime/model/model_file.h"

namespace llamajit {

// All in bytes.
struct TokenCosts {
  std::int64_t weights = 0;  // of the file's tensors that one token's pass reads; of experts, the chosen ones
  std::int64_t per_position = 0;  // of a text, of keys and values that all later tokens see
  std::int64_t windows = 0;       // the same of layers with a window, once a text is as long as theirs
  std::int64_t states = 0;        // of a text of whatever length: what delta nets remember
};
TokenCosts token_costs(const ModelFile& file, jit::ElementType kv_type);

// How many of the experts are chosen by at least one of `tokens` tokens, on average, if each chooses any of them
// with the same probability and independently of others.
double experts_touched(const jit::RouteKey& route, int tokens);

}  // namespace llamajit
