// Nodes of a grammar that nothing tells apart for some bytes, such as those of a long text far from its last character.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/grammar/grammar.h"

namespace llamajit {

// The most that alike_for() is asked for.
inline constexpr std::size_t kAlikeBytes = 32;

// For each of `lengths`, which ascend, a number for each node: those with the same number go on alike for so many bytes,
// and their rule may end at the same places among them. Numbers are hashes of 64 bits.
std::vector<std::vector<std::uint64_t>> alike_for(const Grammar& grammar,
                                                  std::span<const std::size_t> lengths);

}  // namespace llamajit
