// What tells a large file from others without reading all of it.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace llamajit {

// Its size, its first 64 KiB, which in a GGUF file name all that is in it, and 64 bytes at each of 512 places.
std::string file_sample(std::span<const std::byte> bytes);

}  // namespace llamajit
