// Key, Args and contract of what writes keys and values into the cache; kv_layout.h says how they lie there.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

#include "jit/base/element_type.h"
#include "jit/base/fields.h"
#include "jit/kernels/cursor.h"

namespace llamajit::jit {

// Writes k and v of token t into its sequence's page at position at[t].pos, rounded to the cache's type;
// values' padding is written too. q8_0: each block's scale and codes are those of QuantizeKey.
struct KvAppendArgs {
  const float* k;
  const float* v;
  const Cursor* at;
  std::int64_t keys_at;
  std::int64_t values_at;
  std::int64_t n_kv_heads;
  std::int64_t n_tokens = 1;
  std::int64_t token_stride = 0;

  static constexpr auto fields() {
    return Fields{
        field<&KvAppendArgs::k>("(n_tokens, n_kv_heads, head_dim)"),
        field<&KvAppendArgs::v>("as k"),
        field<&KvAppendArgs::at>("(n_tokens)"),
        field<&KvAppendArgs::keys_at>(
            "bytes from a page's first to those of this layer's first head's keys; the other heads follow"),
        field<&KvAppendArgs::values_at>("as keys_at, of the values"),
        field<&KvAppendArgs::n_kv_heads>(">= 1"),
        field<&KvAppendArgs::n_tokens>(">= 1"),
        field<&KvAppendArgs::token_stride>("floats from a token's first head to the next one's"),
    };
  }
};
struct KvAppendKey {
  using Args = KvAppendArgs;
  ElementType type;
  int head_dim;
  auto operator<=>(const KvAppendKey&) const = default;

  static constexpr auto fields() { return fields_of<&KvAppendKey::type, &KvAppendKey::head_dim>(); }
};

}  // namespace llamajit::jit
