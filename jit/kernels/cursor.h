// Where a row of a step stands: its token, its position in the text, and what it looks back on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "jit/base/fields.h"

namespace llamajit::jit {

// Positions of a page of the KV cache (kv_layout.h).
inline constexpr int kKvPage = 256;

// Kernels that depend on it hold a pointer, so that a plan's Args never change after load.
struct Cursor {
  std::int32_t token = 0;
  std::int32_t pos = 0;
  std::byte* const* pages = nullptr;
  std::byte* state = nullptr;
  std::int64_t own = 0;

  static constexpr auto fields() {
    return Fields{
        field<&Cursor::token>("the token that is fed"),
        field<&Cursor::pos>("its position, from 0"),
        field<&Cursor::pages>("its sequence's, of layers that see as much: page p holds the positions [p * "
                              "kKvPage, (p + 1) * kKvPage)"),
        field<&Cursor::state>(
            "its sequence's: what layers without a KV cache remember of all that is behind it"),
        field<&Cursor::own>("of encoders: the token's position; pos is then the last one that it sees"),
    };
  }
};

}  // namespace llamajit::jit
