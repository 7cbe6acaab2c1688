// Where a row of a step stands: its token, and its position in the text.
#pragma once

#include <cstdint>

namespace llamajit::jit {

// Where the text stands. Kernels that depend on it hold a pointer, so that a plan's Args never change after
// load.
struct Cursor {
  std::int32_t token = 0;  // the token that is fed
  std::int32_t pos = 0;    // its position, from 0
};

}  // namespace llamajit::jit
