#include "jit/formats/rows.h"

#include <algorithm>
#include <cstring>

#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kF32 = 4;
constexpr std::size_t kMostBytes = 32;  // of a block that is interleaved with others

float load_scale(const FormatTraits& traits, const std::byte* row) {
  if (traits.row_scale_bytes != kF32) return load_half(row);
  float scale;
  std::memcpy(&scale, row, sizeof scale);
  return scale;
}
void store_scale(const FormatTraits& traits, float scale, std::byte* row) {
  if (traits.row_scale_bytes != kF32) return store_half(scale, row);
  std::memcpy(row, &scale, sizeof scale);
}

}  // namespace

// Where the first byte of a block is, and where the others are, in a row of interleaved ones.
struct BlockRows::Parts {
  std::int64_t first, others;
  std::size_t n_others;

  Parts(const FormatTraits& traits, std::int64_t n_groups, std::int64_t g)
      : n_others(static_cast<std::size_t>(traits.block_bytes - 1)) {
    const std::int64_t at = g % traits.interleaved, begin = g - at;
    const std::int64_t n = std::min<std::int64_t>(traits.interleaved, n_groups - begin);
    first = begin * traits.block_bytes + at;
    others = begin * traits.block_bytes + n + at * (traits.block_bytes - 1);
  }
};

BlockRows::BlockRows(FormatKind kind, std::int64_t n)
    : traits_(*format_traits(kind)), split_(split_of(kind)), n_groups_(n / traits_.group) {}

void BlockRows::split(const std::byte* row, std::int64_t g, Group& to) const {
  if (traits_.interleaved == 1) {
    if (traits_.row_scale_bytes > 0) to.scale = load_scale(traits_, row);
    return split_(row + group_at(g), to);
  }
  const Parts parts(traits_, n_groups_, g);
  std::byte block[kMostBytes];
  block[0] = row[parts.first];
  std::memcpy(block + 1, row + parts.others, parts.n_others);
  split_(block, to);
}

void BlockRows::join(const Group& from, std::int64_t g, std::byte* row) const {
  if (traits_.interleaved == 1) {
    if (traits_.row_scale_bytes > 0) store_scale(traits_, from.scale, row);
    return join_block(traits_.kind, from, row + group_at(g));
  }
  const Parts parts(traits_, n_groups_, g);
  std::byte block[kMostBytes];
  join_block(traits_.kind, from, block);
  row[parts.first] = block[0];
  std::memcpy(row + parts.others, block + 1, parts.n_others);
}

float as_row_scale(const FormatTraits& traits, double scale) {
  const auto rounded = static_cast<float>(scale);
  return traits.row_scale_bytes == kF32 ? rounded : half_to_float(float_to_half(rounded));
}

}  // namespace llamajit::jit
