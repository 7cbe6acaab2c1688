// Q4_0/f32: f32 scale; 16 bytes of nibbles, code 2i and code 2i + 1 in a byte.
// Q4_1/f32: f32 min; f32 scale; nibbles.
#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kBytes = 16;

float load_float(const std::byte* from) {
  float x;
  std::memcpy(&x, from, sizeof x);
  return x;
}
void store_float(float x, std::byte* to) {
  std::memcpy(to, &x, sizeof x);
}

void split_neighbours(const std::byte* from, std::uint8_t* codes) {
  const auto bytes = Bytes<kBytes>::load(from);
  for (int i = 0; i < kBytes; ++i) {
    codes[2 * i] = bytes.at[i] & 0xF;
    codes[2 * i + 1] = byte_of(bytes.at[i] >> 4U);
  }
}
void join_neighbours(const std::uint8_t* codes, std::byte* to) {
  Bytes<kBytes> bytes;
  for (int i = 0; i < kBytes; ++i) {
    bytes.at[i] = byte_of((codes[2 * i] & 0xFU) | (codes[2 * i + 1] & 0xFU) << 4U);
  }
  bytes.store(to);
}

void split_q4_0(const std::byte* block, Group& to) {
  set_neutral(to);
  to.scale = load_float(block);
  split_neighbours(block + 4, to.codes);
}
void join_q4_0(const Group& from, std::byte* block) {
  store_float(from.scale, block);
  join_neighbours(from.codes, block + 4);
}

void split_q4_1(const std::byte* block, Group& to) {
  set_neutral(to);
  to.min = load_float(block);
  to.scale = load_float(block + 4);
  split_neighbours(block + 8, to.codes);
}
void join_q4_1(const Group& from, std::byte* block) {
  store_float(from.min, block);
  store_float(from.scale, block + 4);
  join_neighbours(from.codes, block + 8);
}

}  // namespace

const BlockLayout kQ4_0F32Layout = {split_q4_0, join_q4_0};
const BlockLayout kQ4_1F32Layout = {split_q4_1, join_q4_1};

}  // namespace llamajit::jit
