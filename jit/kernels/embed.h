// Key, Args and contract of the embedding look-up.
#pragma once

#include <compare>
#include <cstddef>

#include "jit/formats/format.h"
#include "jit/kernels/cursor.h"

namespace llamajit::jit {

// out = row `at->token` of a packed (rows, dim) matrix, as f32.
struct EmbedArgs {
  const std::byte* table;
  float* out;  // (dim)
  const Cursor* at;
};
struct EmbedKey {
  using Args = EmbedArgs;
  Format format;
  int dim;
  auto operator<=>(const EmbedKey&) const = default;
};

}  // namespace llamajit::jit
