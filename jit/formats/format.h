// Weight formats, by the names under which people know them.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace llamajit::jit {

enum class FormatKind : std::uint8_t {
  f32,   // IEEE binary32
  q8_0,  // int8 codes with one scale for each `group` consecutive weights of a row: w = code * scale
  f16,   // IEEE binary16
  bf16,  // the upper half of an f32
};

// What a matrix's weights are stored as. `group` is the number of consecutive weights of one row that share a
// scale; 0 for formats without scales.
struct Format {
  FormatKind kind = FormatKind::f32;
  int group = 0;

  auto operator<=>(const Format&) const = default;
};

// The format that the kernels read, of weights that a file stores as `stored`: 16-bit floats become f32.
Format packed_format(Format stored);

// "f32", "q8_0/64"
std::string to_string(Format format);

}  // namespace llamajit::jit
