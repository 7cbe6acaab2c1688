// Kernels of every kind, for tests of what all kernels have in common.
#pragma once

#include <vector>

#include "jit/base/isa.h"
#include "jit/kernels/kernels.h"

namespace llamajit::test {

// Also those that this CPU lacks.
inline constexpr jit::Tier kGeneratingTiers[] = {jit::Tier::avx2,       jit::Tier::avxvnni,
                                                 jit::Tier::avx512,     jit::Tier::avx512vnni,
                                                 jit::Tier::avx512bf16, jit::Tier::avx512amx};

// Some of every kind: every type, format and epilogue, with tails and without.
std::vector<jit::KernelKey> some_keys();
// The same for what makes a listing of each on each tier: under the sanitizers, where that takes minutes, one of four.
std::vector<jit::KernelKey> listed_keys();

}  // namespace llamajit::test
