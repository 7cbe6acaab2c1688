// SHA-256 (FIPS 180-4), so that dumps can be compared with `sha256sum`.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace llamajit::jit::inspect {

// Returns the hash in hexadecimal, as sha256sum prints it.
std::string sha256(std::span<const std::uint8_t> bytes);

}  // namespace llamajit::jit::inspect
