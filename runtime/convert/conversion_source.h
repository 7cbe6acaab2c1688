// A model as a GGUF file is to hold it: what `llamajit quantize` and `llamajit convert` take in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/formats/format.h"
#include "runtime/convert/quantization_type.h"
#include "runtime/files/gguf_writer.h"

namespace llamajit {

struct ConversionTensor {
  std::string name;                     // GGUF's
  std::vector<std::int64_t> dims;       // the innermost, a row's length, first
  std::string_view type;                // as messages name it
  std::uint32_t type_number = 0;        // GGUF's, where the data can be taken as it is
  std::optional<jit::Format> floats{};  // where floats can be read from it: f32, f16, bf16 or int8
  std::span<const std::byte> data;
  std::span<const std::byte> scales{};  // int8's
  // Codes that a format of GGUF files takes over; floats of their groups become f16.
  struct Codes {
    jit::Format format;
    jit::FormatKind to;
  };
  std::optional<Codes> codes{};

  std::int64_t cols() const { return dims.front(); }
  std::int64_t rows() const;
};

// A row's weights. The tensor must have floats, or codes.
void read_row(const ConversionTensor& tensor, std::int64_t row, float* to);
// A row's codes, which the tensor must have, as blocks of their other format.
void take_codes(const ConversionTensor& tensor, std::int64_t row, std::byte* blocks);

struct ConversionSource {
  std::vector<std::string> paths;  // the model's files
  std::vector<ConversionTensor> tensors;
  ModelOutline outline;
  // The quantisation type (quantization_type.h) in which all matrices lose least; empty for GGUF files.
  std::string_view own_type;
  bool has_tokenizer = false;
  std::function<void(GgufWriter&)> add_keys;  // all but those of the format
  // Throws std::runtime_error if a file shrank meanwhile.
  std::function<void()> check_intact;

  const std::string& path() const { return paths.front(); }
};

// A GGUF file of any family; a llama2.c checkpoint, into which the tokenizer.bin goes that is named; or a
// legacy ggml file, whose own vocabulary gives way to one that is named. Throws std::runtime_error that names
// the file, the field, what was expected and what was found; std::invalid_argument for a tokenizer.bin beside
// a GGUF file, which has one.
ConversionSource open_conversion_source(const std::string& path,
                                        const std::optional<std::string>& tokenizer_bin);

// The latter two (llama_conversion.cpp).
ConversionSource open_llama_conversion(const std::string& path,
                                       const std::optional<std::string>& tokenizer_bin);

}  // namespace llamajit
