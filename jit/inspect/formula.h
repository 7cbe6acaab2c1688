// A formula says what an instruction computes, in the names that the
// kernel gave its registers: "sums[1] += value * [w + 64]".
#pragma once

#include <string>

#include "jit/emit/annotations.h"
#include "jit/inspect/instruction.h"
#include "jit/kernels/kernels.h"

namespace llamajit::jit::inspect {

// "" for instructions that compute nothing of the kernel's (jumps, the frame).
std::string formula(const Instruction& instruction, const Annotations& annotations, const KernelKey& key);

// 32 bits as a number where they look like one, else in hexadecimal.
std::string constant_text(std::uint32_t bits);

}  // namespace llamajit::jit::inspect
