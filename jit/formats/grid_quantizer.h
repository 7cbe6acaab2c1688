// Quantising to formats whose codes are entries of grids.
#pragma once

#include "jit/formats/format.h"

namespace llamajit::jit {

// One group of a format with FormatTraits::entry. Weights that are no numbers give zeros; those whose scale f16 can't
// hold, an infinite scale. The importance of weights is positive, with a mean near 1; or nullptr.
void quantize_by_grid(const FormatTraits& traits, const float* x, const float* importance, Group& to);

}  // namespace llamajit::jit
