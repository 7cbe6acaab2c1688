#include "tokenizer/byte_level.h"

#include <array>
#include <cstdint>

#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

// Latin-1's printable characters stand for themselves; the
// other bytes take the code points from 256 on, in order.
bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
}

constexpr unsigned kCodePoints = 256 + 68;  // 68 bytes do not stand for themselves

// The byte of each code point, -1 for none.
std::array<int, kCodePoints> make_bytes() {
  std::array<int, kCodePoints> bytes{};
  bytes.fill(-1);
  unsigned next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    bytes[stands_for_itself(byte) ? byte : next++] = static_cast<int>(byte);
  }
  return bytes;
}

}  // namespace

std::optional<std::string> bytes_of_byte_level(std::string_view piece) {
  static const std::array<int, kCodePoints> kBytes = make_bytes();
  std::string bytes;
  while (!piece.empty()) {
    const std::size_t length = utf8_length(piece);
    const auto unit = [&](std::size_t i) { return static_cast<std::uint8_t>(piece[i]); };
    // One or two units: longer ones are beyond the table, and a unit alone is no character.
    if (length > 2 || (length == 1 && unit(0) >= 0x80)) return std::nullopt;
    const unsigned code_point = length == 1 ? unit(0) : (unit(0) & 0x1FU) << 6 | (unit(1) & 0x3FU);
    if (code_point >= kCodePoints || kBytes[code_point] < 0) return std::nullopt;
    bytes += static_cast<char>(kBytes[code_point]);
    piece.remove_prefix(length);
  }
  return bytes;
}

}  // namespace llamajit
