// The table of registers and roles at the top of a listing.
#pragma once

#include <string>
#include <vector>

#include "jit/base/isa.h"
#include "jit/emit/annotations.h"

namespace llamajit::jit::inspect {

// "zmm0-zmm23   acc[tile][token] (3, 8)", by register; a register that has several roles in the course of the
// kernel has several lines.
std::vector<std::string> role_table(const Annotations& annotations, Isa isa);

}  // namespace llamajit::jit::inspect
