// Nodes of a grammar that nothing tells apart for some bytes, such as those of a long text far from its last character.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/grammar/grammar.h"

namespace llamajit {

// A number for each node: those with the same number go on alike for `bytes` bytes, and their rule may end at the same
// places among them. Numbers are hashes of 64 bits.
std::vector<std::uint64_t> alike_for(const Grammar& grammar, int bytes);

}  // namespace llamajit
