// A model's matrices in another format: GGUF files out of
// GGUF files, llama2.c checkpoints and legacy ggml files.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/convert/conversion_source.h"
#include "runtime/convert/quantization_type.h"
#include "runtime/convert/tensor_quantizer.h"

namespace llamajit {

// This says what became of a tensor.
struct QuantizedTensor {
  std::string name;
  std::vector<std::int64_t> dims;  // the innermost first
  std::string_view from;
  std::string_view to;
  std::string_view wanted;  // empty, or the format whose groups do not divide the rows
  std::uint64_t bytes_before;
  std::uint64_t bytes;
  double rms_error = 0;       // of a weight
  double relative_error = 0;  // over the weights' RMS
  // Of its matrices, how many had importances; nothing where it is not quantised, or there is no importance matrix.
  std::optional<std::int64_t> weighed{};
  std::int64_t matrices = 1;
};

struct Quantization {
  std::vector<QuantizedTensor> tensors;
  std::uint64_t file_bytes;
};

// Called with the tensor at hand, and how much of all weights is done (0 to 1).
using QuantizationProgress = std::function<void(std::string_view tensor, double done)>;

// Throws what quantize_model() would of a file that cannot be written or is one of the model's own, and of importances of
// another model: for those who have long work to do before they call it.
void check_before_quantizing(const ConversionSource& source, const std::string& out,
                             const NamedImportance* importance);

// Writes the file `out`, whole or not at all; the same bytes for any number of threads. Throws
// std::runtime_error that names the file, the tensor, what was expected and what was found: a matrix that is
// quantised already, weights that are not finite or too large for the format, an `out` that is one of the
// model's own files.
// A source's codes that the format can take over (ConversionTensor::codes) are not quantised anew. With `importance`,
// errors count by it (jit::quantize_row()) and the mixes are those with one; an entry that does not fit its tensor is
// an error, and so is one for no tensor of the model at all.
Quantization quantize_model(const ConversionSource& source, const std::string& out,
                            const QuantizationChoices& choices, int threads,
                            const QuantizationProgress& progress,
                            const NamedImportance* importance = nullptr);

}  // namespace llamajit
