// Weights read from ggml's blocks one at a time, as the format's
// description says: slow, and apart from what is tested.
#pragma once

#include <cstddef>
#include <ostream>

#include "jit/formats/format.h"

namespace llamajit::test {

// Weight `i` of a block; a scale that stands elsewhere is 1.
double block_value(jit::FormatKind kind, const std::byte* block, int i);

// The same from a group's numbers, by the formula of FormatTraits.
double group_value(const jit::FormatTraits& traits, const jit::Group& group, int i);

}  // namespace llamajit::test

namespace llamajit::jit {

// Test listings call a parameter so.
inline void PrintTo(const FormatTraits& traits, std::ostream* out) {
  *out << traits.name;
}

}  // namespace llamajit::jit
