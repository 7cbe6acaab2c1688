#include "tokenizer/charsmap.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

namespace llamajit {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 24;
constexpr std::uint32_t kIsValue = 0x80000000;

std::uint32_t read_u32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value |= std::uint32_t{static_cast<std::uint8_t>(bytes[i])} << (8 * i);
  }
  return value;
}

[[noreturn]] void fail(std::string_view what, std::string_view expected, std::size_t found) {
  throw std::invalid_argument(
      fmt::format("precompiled charsmap: {}: expected {}, found {}", what, expected, found));
}

std::uint32_t children_of(std::uint32_t unit) {
  return (unit >> 10 & 0x1FFFFF) << ((unit & 0x200) != 0 ? 8 : 0);
}

// A value's unit never equals a byte, for its highest bit.
bool leads_here(std::uint32_t unit, std::uint8_t byte) {
  return (unit & (kIsValue | 0xFF)) == byte;
}

bool is_key(std::uint32_t unit) {
  return (unit & 0x100) != 0;
}

}  // namespace

Charsmap::Charsmap(std::string_view bytes) {
  if (bytes.size() > kMaxBytes) fail("bytes", fmt::format("at most {}", kMaxBytes), bytes.size());
  if (bytes.size() < 4) fail("bytes", "at least 4", bytes.size());
  const std::size_t size = read_u32(bytes);
  bytes.remove_prefix(4);
  if (size > bytes.size() || size % 4 != 0) {
    fail("bytes of the tree", fmt::format("a multiple of 4, at most {}", bytes.size()), size);
  }
  units_.resize(size / 4);
  for (std::size_t i = 0; i < units_.size(); ++i) units_[i] = read_u32(bytes.substr(4 * i));
  replacements_ = bytes.substr(size);
  for (const std::uint32_t unit : units_) {
    const std::size_t value = unit & ~kIsValue;
    if ((unit & kIsValue) != 0 && value >= replacements_.size()) {
      fail("where a replacement begins", fmt::format("less than {}", replacements_.size()), value);
    }
  }
}

Charsmap::Prefix Charsmap::find(std::string_view text) const {
  if (units_.empty()) return {};
  std::size_t longest = 0;
  std::size_t value = 0;  // where its replacement begins
  std::size_t node = children_of(units_[0]);
  for (std::size_t i = 0; i < std::min(text.size(), kLongestKey); ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    node ^= byte;
    if (byte == 0 || node >= units_.size() || !leads_here(units_[node], byte)) break;
    const std::uint32_t unit = units_[node];
    node ^= children_of(unit);
    // A key's value is its child by the byte zero, which no key has.
    if (is_key(unit) && node < units_.size() && (units_[node] & kIsValue) != 0) {
      longest = i + 1;
      value = units_[node] & ~kIsValue;
    }
  }
  if (longest == 0) return {};
  const std::string_view replacement = std::string_view(replacements_).substr(value);
  return {longest, replacement.substr(0, replacement.find('\0'))};
}

}  // namespace llamajit
