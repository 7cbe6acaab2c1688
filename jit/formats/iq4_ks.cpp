// 8 bytes of subscales; 128 bytes of codes, as IQ4_K's. The scale, f32, stands in front of the row.
#include "jit/formats/lifted_blocks.h"

namespace llamajit::jit {
namespace {

constexpr std::size_t kCodes = 8;

void split(const std::byte* block, Group& to) {
  set_no_mins(to);
  split_odd_bytes(block, to);
  split_all_nibbles<16>(block + kCodes, to.codes);
}

void join(const Group& from, std::byte* block) {
  join_odd_bytes(from, block);
  join_all_nibbles<16>(from.codes, block + kCodes);
}

}  // namespace

const BlockLayout kIq4KsLayout = {split, join};

}  // namespace llamajit::jit
