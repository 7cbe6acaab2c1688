#include "jit/inspect/sha256.h"

#include <array>

#include <sha2.h>

namespace llamajit::jit::inspect {

std::string sha256(std::span<const std::uint8_t> bytes) {
  std::array<char, SHA256_DIGEST_STRING_LENGTH> text{};
  return SHA256Data(bytes.data(), bytes.size(), text.data());
}

}  // namespace llamajit::jit::inspect
