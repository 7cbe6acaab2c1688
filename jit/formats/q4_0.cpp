// Q4_0: f16 scale; 16 bytes of nibbles, code i and code 16 + i in a byte.
// Q4_1: f16 scale; f16 min; nibbles.
#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kBytes = 16;

void split_q4_0(const std::byte* block, Group& to) {
  set_neutral(to);
  to.scale = load_half(block);
  split_nibbles<kBytes>(block + 2, to.codes);
}
void join_q4_0(const Group& from, std::byte* block) {
  store_half(from.scale, block);
  join_nibbles<kBytes>(from.codes, block + 2);
}

void split_q4_1(const std::byte* block, Group& to) {
  set_neutral(to);
  to.scale = load_half(block);
  to.min = load_half(block + 2);
  split_nibbles<kBytes>(block + 4, to.codes);
}
void join_q4_1(const Group& from, std::byte* block) {
  store_half(from.scale, block);
  store_half(from.min, block + 2);
  join_nibbles<kBytes>(from.codes, block + 4);
}

}  // namespace

const BlockLayout kQ4_0Layout = {split_q4_0, join_q4_0};
const BlockLayout kQ4_1Layout = {split_q4_1, join_q4_1};

}  // namespace llamajit::jit
