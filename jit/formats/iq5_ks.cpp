// 8 bytes of subscales; 128 bytes of the codes' nibbles and 32 of their fifth bits, as IQ5_K's. The scale, f32, stands in front of
// the row.
#include "jit/formats/lifted_blocks.h"

namespace llamajit::jit {
namespace {

constexpr std::size_t kNibbles = 8, kBits = 136;

void split(const std::byte* block, Group& to) {
  set_no_mins(to);
  split_odd_bytes(block, to);
  split_all_nibbles<32>(block + kNibbles, to.codes);
  split_eighths<4>(block + kBits, to.codes);
}

void join(const Group& from, std::byte* block) {
  join_odd_bytes(from, block);
  join_all_nibbles<32>(from.codes, block + kNibbles);
  join_eighths<4>(from.codes, block + kBits);
}

}  // namespace

const BlockLayout kIq5KsLayout = {split, join};

}  // namespace llamajit::jit
