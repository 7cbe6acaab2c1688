#include "runtime/chat/call_id.h"

#include <string_view>

namespace llamajit {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr int kLength = 9;
constexpr std::uint64_t kIds = 13'537'086'546'263'552;  // 62 to the 9th
constexpr std::uint64_t kStep =
    8'366'379'594'239'857;  // 62 and it have no divisor in common: no id comes twice

// The output function of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15U;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9U;
  x = (x ^ x >> 27) * 0x94D049BB133111EBU;
  return x ^ x >> 31;
}

}  // namespace

std::string tool_call_id(std::uint64_t seed, std::uint64_t index) {
  static_assert(kStep % 2 != 0 && kStep % 31 != 0);
  std::uint64_t offset = 0;  // index * kStep modulo kIds: with 64 bits it would not fit
  std::uint64_t doubled = kStep;
  for (std::uint64_t rest = index % kIds; rest > 0; rest >>= 1) {
    if ((rest & 1) != 0) offset = (offset + doubled) % kIds;
    doubled = doubled * 2 % kIds;
  }
  std::uint64_t number = (mixed(seed) % kIds + offset) % kIds;
  std::string id(kLength, kDigits[0]);
  for (char& c : id) {
    c = kDigits[number % kDigits.size()];
    number /= kDigits.size();
  }
  return id;
}

}  // namespace llamajit
