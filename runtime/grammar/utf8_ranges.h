// Ranges of code points as sequences of ranges of bytes.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runtime/grammar/rules.h"

namespace llamajit {

struct ByteRange {
  std::uint8_t first;
  std::uint8_t last;
};

// The UTF-8 of some code points: any byte of the first range, then any of the second, …
struct Utf8Sequence {
  std::array<ByteRange, 4> bytes;
  int length;
};

// The sequences that together write the code points of the range, and no others; surrogates are left out.
std::vector<Utf8Sequence> utf8_sequences(CodePointRange range);

}  // namespace llamajit
