// ggml's tensor types: their numbers in GGUF files, and what a block of each takes.
#pragma once

#include <cstdint>
#include <string_view>

namespace llamajit {

struct GgmlType {
  std::uint32_t number;
  std::string_view name;
  std::uint32_t block_weights;  // consecutive weights of a row
  std::uint32_t block_bytes;
  std::uint32_t tail_bytes = 0;  // behind a tensor's blocks
  std::uint32_t row_bytes = 0;   // in front of each row's
};

// nullptr for a number that is not known: then nobody knows either how large a tensor is.
const GgmlType* find_ggml_type(std::uint32_t number);
const GgmlType* find_ggml_type(std::string_view name);

}  // namespace llamajit
