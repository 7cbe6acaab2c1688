// Key, Args and contract of the embedding look-up.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "jit/base/fields.h"
#include "jit/formats/format.h"
#include "jit/kernels/cursor.h"

namespace llamajit::jit {

// Which row of a table; all but the token's are added to what is there.
enum class EmbedRow : std::uint8_t {
  token,     // at->token
  position,  // at->pos
  first,     // 0, whatever is at hand: of BERT's token types that of a text which stands alone
};
std::string_view to_string(EmbedRow row);  // "token"

// out = row `at->token` of a packed (rows, dim) matrix, as f32, times `scale`, rounded. Of a table of
// positions, out += row `at->pos`; out += row 0 where the key says so.
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
  EmbedRow which = EmbedRow::token;  // another one: only floats, with scale 1
  auto operator<=>(const EmbedKey&) const = default;

  bool adds() const { return which != EmbedRow::token; }

  static constexpr auto fields() {
    return fields_of<&EmbedKey::format, &EmbedKey::dim, &EmbedKey::scale, &EmbedKey::which>();
  }
};

}  // namespace llamajit::jit
