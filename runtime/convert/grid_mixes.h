// The mixes IQ1_S to IQ3_M.
#pragma once

#include <string_view>

#include "runtime/convert/quantization_type.h"

namespace llamajit {

// A matrix's format in the mix of this name. An embedding that is the classifier, too, goes by the classifier's name.
jit::FormatKind format_in_grid_mix(std::string_view type, bool weighed, const ModelOutline& model,
                                   std::string_view matrix);

}  // namespace llamajit
