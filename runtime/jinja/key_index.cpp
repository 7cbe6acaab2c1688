#include "runtime/jinja/key_index.h"

#include <array>
#include <bit>
#include <cstring>
#include <random>

namespace llamajit::jinja {
namespace {

std::array<std::uint64_t, 2> random_key() {
  std::random_device random;
  const auto word = [&] { return std::uint64_t{random()} << 32 | random(); };
  return {word(), word()};
}

class SipState {
 public:
  explicit SipState(const std::array<std::uint64_t, 2>& key)
      : v_{key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
           key[1] ^ 0x7465646279746573} {}

  void add(std::uint64_t word) {
    v_[3] ^= word;
    round();
    v_[0] ^= word;
  }
  std::uint64_t finish() {
    v_[2] ^= 0xFF;
    for (int i = 0; i < 3; ++i) round();
    return v_[0] ^ v_[1] ^ v_[2] ^ v_[3];
  }

 private:
  void round() {
    v_[0] += v_[1];
    v_[1] = std::rotl(v_[1], 13) ^ v_[0];
    v_[0] = std::rotl(v_[0], 32);
    v_[2] += v_[3];
    v_[3] = std::rotl(v_[3], 16) ^ v_[2];
    v_[0] += v_[3];
    v_[3] = std::rotl(v_[3], 21) ^ v_[0];
    v_[2] += v_[1];
    v_[1] = std::rotl(v_[1], 17) ^ v_[2];
    v_[2] = std::rotl(v_[2], 32);
  }

  std::array<std::uint64_t, 4> v_;
};

}  // namespace

std::uint64_t hash_of(std::string_view bytes) {
  static const std::array<std::uint64_t, 2> key = random_key();
  SipState state(key);
  std::uint64_t last = bytes.size() << 56;
  for (; bytes.size() >= sizeof last; bytes.remove_prefix(sizeof last)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    state.add(word);
  }
  std::uint64_t rest = 0;
  if (!bytes.empty()) std::memcpy(&rest, bytes.data(), bytes.size());
  state.add(last | rest);
  return state.finish();
}

void KeyIndex::add(std::uint64_t hash) {
  hashes_.push_back(hash);
  if (2 * hashes_.size() <= places_.size()) return place(hashes_.size() - 1);
  places_.assign(std::bit_ceil(4 * hashes_.size()), 0);
  for (std::size_t i = 0; i < hashes_.size(); ++i) place(i);
}

void KeyIndex::place(std::size_t entry) {
  const std::size_t mask = places_.size() - 1;
  std::size_t at = hashes_[entry] & mask;
  while (places_[at] != 0) at = (at + 1) & mask;
  places_[at] = static_cast<std::uint32_t>(entry + 1);
}

}  // namespace llamajit::jinja
