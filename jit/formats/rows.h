// Rows of blocks, as files have them.
#pragma once

#include "jit/formats/format.h"

namespace llamajit::jit {

// Finds the blocks of rows of n weights: behind a row's scale, where it has one, and in one another, where they are
// interleaved, of which the last may be fewer.
class BlockRows {
 public:
  BlockRows(FormatKind kind, std::int64_t n);

  std::int64_t row_bytes() const { return group_at(n_groups_); }
  // Where group number `g` begins, as far as rows are read from their begin to their end.
  std::int64_t group_at(std::int64_t g) const { return traits_.row_scale_bytes + g * traits_.block_bytes; }
  // Of a row at `row`, with the scale in front of it.
  void split(const std::byte* row, std::int64_t g, Group& to) const;
  void join(const Group& from, std::int64_t g, std::byte* row) const;

 private:
  struct Parts;

  const FormatTraits& traits_;
  SplitBlock split_;
  std::int64_t n_groups_;
};

// What a row's scale is rounded to.
float as_row_scale(const FormatTraits& traits, double scale);

}  // namespace llamajit::jit
