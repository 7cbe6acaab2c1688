// A small model's text at a large model's price: what is added to it costs time and changes no bit.
#pragma once

#include <optional>
#include <string>

#include "tests/support/copying_heads.h"

namespace llamajit {

// Writes a Llama's GGUF file once more in F16, with so many layers of so large a hidden layer, no fewer than it has. Rows
// that gate and up get are random, and down multiplies what they give with zeros; layers that it gets add zeros to the
// stream. Every format keeps zeros. Throws std::runtime_error.
//
// One that copies has three layers more, the first ones, and a stream four times as wide (copying_heads.h). It goes on as the
// model does, but for rounding, where its text says something new, and as before where it says something again. It may
// say another token in the place of one.
struct Widening {
  int hidden_dim;  // a multiple of 256
  int layers;
  bool copies = false;
  std::optional<CopyingHeads::Renaming> renaming{};
};
void write_widened(const std::string& in, const std::string& out, const Widening& to);

}  // namespace llamajit
