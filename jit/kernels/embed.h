// Key, Args and contract of the embedding look-up.
#pragma once

#include <compare>
#include <cstddef>

#include "jit/base/fields.h"
#include "jit/formats/format.h"
#include "jit/kernels/cursor.h"

namespace llamajit::jit {

// out = row `at->token` of a packed (rows, dim) matrix, as f32, times `scale`, rounded. Of a table of
// positions, out += row `at->pos`.
struct EmbedArgs {
  const std::byte* table;
  float* out;
  const Cursor* at;

  static constexpr auto fields() {
    return Fields{
        field<&EmbedArgs::table>("(rows, dim), packed"),
        field<&EmbedArgs::out>("(dim)"),
        field<&EmbedArgs::at>("(1)"),
    };
  }
};
struct EmbedKey {
  using Args = EmbedArgs;
  Format format;
  int dim;
  float scale = 1;
  bool of_position = false;                           // only floats, with scale 1
  auto operator<=>(const EmbedKey&) const = default;  // NOLINT: clang-tidy 14 compares bools as ints

  static constexpr auto fields() {
    return fields_of<&EmbedKey::format, &EmbedKey::dim, &EmbedKey::scale, &EmbedKey::of_position>();
  }
};

}  // namespace llamajit::jit
