// The one way to read numbers and ranges out of an untrusted file.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "runtime/base/excerpt.h"

namespace llamajit {

static_assert(std::endian::native == std::endian::little, "model files are little-endian");

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Messages call a place in a file by this name: "header.dim", or with an index
// "tokens[17].length". The text is put together only when a message needs it.
struct FieldName {
  FieldName(const char* text) : name(text) {}         // NOLINT: meant to be implicit
  FieldName(const std::string& text) : name(text) {}  // NOLINT
  FieldName(std::string_view list, std::uint64_t at, std::string_view member)
      : name(list), index(at), part(member) {}

  std::string text() const {
    return part.empty() ? std::string(name) : fmt::format("{}[{}].{}", name, index, part);
  }

  std::string_view name;
  std::uint64_t index = 0;
  std::string_view part;  // empty: not an element of a list
};

// A cursor over a file's bytes. Offsets and lengths are u64 and are compared with what is left, never added
// to a position before that, so no value in a file can wrap. Every failure is a std::runtime_error that names
// the file, the field, what was expected and what was found.
class ByteReader {
 public:
  ByteReader(std::string_view file, std::span<const std::byte> bytes) : file_(file), bytes_(bytes) {}

  std::span<const std::byte> bytes() const { return bytes_; }
  std::uint64_t size() const { return bytes_.size(); }
  std::uint64_t position() const { return position_; }
  std::uint64_t remaining() const { return size() - position_; }

  // Goes to an offset from the file's start; its end is allowed.
  void seek(std::uint64_t offset, const FieldName& field) {
    if (offset > size()) fail(field, fmt::format("an offset up to {}", size()), fmt::to_string(offset));
    position_ = offset;
  }

  // The next `count` bytes; the cursor moves past them.
  std::span<const std::byte> take(std::uint64_t count, const FieldName& field) {
    if (count > remaining()) {
      fail(field, fmt::format("{} bytes at offset {}", count, position_),
           fmt::format("{} to the end of the file", remaining()));
    }
    const auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }

  std::uint8_t u8(const FieldName& field) { return read<std::uint8_t>(field); }
  std::uint32_t u32(const FieldName& field) { return read<std::uint32_t>(field); }
  std::uint64_t u64(const FieldName& field) { return read<std::uint64_t>(field); }
  std::int32_t i32(const FieldName& field) { return read<std::int32_t>(field); }
  float f32(const FieldName& field) { return read<float>(field); }

  // A number of any type.
  template <class T>
  T read(const FieldName& field) {
    T value;
    std::memcpy(&value, take(sizeof(T), field).data(), sizeof(T));  // files give no alignment
    return value;
  }

  // The factors' product, as the size in bytes that `field` claims.
  std::uint64_t product(std::initializer_list<std::uint64_t> factors, const FieldName& field) const {
    std::uint64_t result = 1;
    for (const std::uint64_t factor : factors) {
      if (__builtin_mul_overflow(result, factor, &result)) {
        fail(field, "a size that fits 64 bits", fmt::format("{}", fmt::join(factors, " x ")));
      }
    }
    return result;
  }

  [[noreturn]] void fail(const FieldName& field, std::string_view expected, std::string_view found) const {
    throw std::runtime_error(
        fmt::format("{}: {}: expected {}, found {}", file_, excerpt(field.text()), expected, excerpt(found)));
  }

 private:
  std::string_view file_;  // the path, for messages
  std::span<const std::byte> bytes_;
  std::uint64_t position_ = 0;  // <= size()
};

}  // namespace llamajit
