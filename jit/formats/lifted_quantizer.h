// Quantises to formats whose subgroups may be lifted (FormatTraits).
#pragma once

#include <cstddef>
#include <cstdint>

#include "jit/formats/format.h"

namespace llamajit::jit {

// A row of n weights to its blocks. `importance` (n), as in fit.h, or nullptr.
void quantize_lifted(const FormatTraits& traits, const float* x, std::int64_t n, const float* importance,
                     std::byte* blocks);

}  // namespace llamajit::jit
