#include "runtime/forward/packed_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>

#include "jit/inspect/sha256.h"
#include "runtime/base/file_sample.h"
#include "runtime/forward/weights.h"
#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

// To be raised whenever Weights::lay_out(), packing or a format's tiles change: PackedLayout.IsTheOneOfItsVersion fails
// until then.
constexpr int kLayoutVersion = 2;

constexpr std::string_view kMagic = "llamajit packed\n";
constexpr std::size_t kKeyAt = 16, kKeyBytes = 64, kSizeAt = kKeyAt + kKeyBytes;

std::string hex_sha256(std::string_view text) {
  return jit::inspect::sha256({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

std::string_view text_at(std::span<const std::byte> bytes, std::size_t at, std::size_t n) {
  return {reinterpret_cast<const char*>(bytes.data()) + at, n};
}

[[noreturn]] void refuse(const std::string& path, std::string_view field, const std::string& expected,
                         const std::string& found) {
  throw std::runtime_error(fmt::format("{}: {}: expected {}, found {}", path, field, expected, found));
}

}  // namespace

std::string packed_key(const ModelFile& file, Bf16Products bf16) {
  std::string of = fmt::format("{} {} ", kLayoutVersion, static_cast<int>(bf16));
  for (const MappedFile& part : file.parts) of += file_sample(part.bytes());
  file.check_intact();
  return hex_sha256(of);
}

PackedFile::PackedFile(const std::string& path, const std::string& key) : file_(path) {
  const std::span<const std::byte> bytes = file_.bytes();
  if (bytes.size() < kPackedHeader || text_at(bytes, 0, kMagic.size()) != kMagic) {
    refuse(path, "beginning", "that of a packed file", "another");
  }
  if (const std::string_view found = text_at(bytes, kKeyAt, kKeyBytes); found != key) {
    refuse(path, "key", fmt::format("{}…, of this model, its options and this program", key.substr(0, 12)),
           escaped(found.substr(0, 12)) + "…");
  }
  std::uint64_t said = 0;
  std::memcpy(&said, bytes.data() + kSizeAt, sizeof said);
  expect_bytes(static_cast<std::size_t>(said));
}

void PackedFile::expect_bytes(std::size_t weight_bytes) const {
  if (weights().size() == weight_bytes) return;
  refuse(file_.path(), "weights", fmt::format("{} bytes", weight_bytes), fmt::to_string(weights().size()));
}

void write_packed(const std::string& key, std::span<const std::byte> weights,
                  const std::function<void(std::span<const std::byte>)>& write) {
  std::array<std::byte, kPackedHeader> header{};
  const std::uint64_t size = weights.size();
  std::memcpy(header.data(), kMagic.data(), kMagic.size());
  std::memcpy(header.data() + kKeyAt, key.data(), std::min(key.size(), kKeyBytes));
  std::memcpy(header.data() + kSizeAt, &size, sizeof size);
  write(header);
  write(weights);
}

}  // namespace llamajit
