// Which of several formats each of several matrices gets, where their bytes together are limited.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "jit/formats/format.h"

namespace llamajit {

struct MixOption {
  jit::FormatKind kind{};
  std::uint64_t bytes = 0;
  double loss = 0;  // losses of several matrices add up
};

// One of each matrix's options, by its index: together they take `most` bytes at most and lose little. Nothing where
// even the smallest are too large. The same for the same numbers, whatever the machine.
std::optional<std::vector<std::size_t>> choose_mix(std::span<const std::vector<MixOption>> matrices,
                                                   std::uint64_t most);

}  // namespace llamajit
