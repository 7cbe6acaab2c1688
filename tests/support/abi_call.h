// Calls generated code as a hostile caller would, and checks that it kept the System V ABI.
#pragma once

#include <string>

#include "jit/code/code_cache.h"

namespace llamajit::test {

// Calls entry(args, key) with every vector, mask and caller-saved register full of poison and the
// callee-saved ones full of known values. Returns what the callee broke, "" if nothing: callee-saved
// registers, the stack pointer, the direction flag, the control bits of MXCSR, the x87 control word, or upper
// halves of vector registers left dirty (which would slow down the caller's SSE code). What was broken is
// mended. Not for two threads at once.
std::string abi_call(jit::KernelEntry entry, const void* args, const void* key);

}  // namespace llamajit::test
