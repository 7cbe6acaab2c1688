// Bytes of files for other programs: little-endian numbers, LEB128, strings.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace llamajit::jit::inspect {

class ByteBuffer {
 public:
  void u8(std::uint8_t value) { bytes_.push_back(value); }
  void u16(std::uint16_t value) { raw(value); }
  void u32(std::uint32_t value) { raw(value); }
  void u64(std::uint64_t value) { raw(value); }

  void uleb(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) u8(static_cast<std::uint8_t>(value | 0x80));
    u8(static_cast<std::uint8_t>(value));
  }
  void sleb(std::int64_t value) {
    // Until all that is left is the sign that the last byte's bit 6 says.
    for (; value < -0x40 || value >= 0x40; value >>= 7) u8(static_cast<std::uint8_t>(value | 0x80));
    u8(static_cast<std::uint8_t>(value & 0x7F));
  }
  // Appends the text and the zero that ends it.
  void string(std::string_view text) {
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    u8(0);
  }
  void bytes(std::span<const std::uint8_t> from) { bytes_.insert(bytes_.end(), from.begin(), from.end()); }
  // A plain struct of the machine's own layout.
  template <class T>
  void raw(const T& value) {
    const auto* from = reinterpret_cast<const std::uint8_t*>(&value);
    bytes_.insert(bytes_.end(), from, from + sizeof value);
  }
  void align(std::size_t to, std::uint8_t fill = 0) {
    while (bytes_.size() % to != 0) u8(fill);
  }

  // Keeps four bytes free for the length of what follows them; end_length() writes it there.
  std::size_t begin_length() {
    u32(0);
    return bytes_.size();
  }
  void end_length(std::size_t begin) {
    set_u32(begin - 4, static_cast<std::uint32_t>(bytes_.size() - begin));
  }
  void set_u32(std::size_t at, std::uint32_t value) { std::memcpy(bytes_.data() + at, &value, sizeof value); }

  std::size_t size() const { return bytes_.size(); }
  const std::vector<std::uint8_t>& data() const { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

}  // namespace llamajit::jit::inspect
