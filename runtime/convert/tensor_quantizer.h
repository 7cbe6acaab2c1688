// One tensor of a model in another format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/team.h"
#include "runtime/convert/conversion_source.h"
#include "runtime/convert/quantization_type.h"
#include "runtime/files/importance_matrix.h"

namespace llamajit {

// An importance matrix, and what files that are quantised by it call it.
struct NamedImportance {
  std::string name;
  ImportanceMatrix matrix;
};

// What is to become of a tensor.
struct TensorJob {
  const ConversionTensor* tensor;
  std::optional<jit::FormatKind> to;  // nothing: the data as it is
  std::optional<jit::FormatKind> wanted{};
  bool takes_codes = false;         // as they are
  std::vector<float> importance{};  // (matrices, cols), or none
  std::int64_t weighed = 0;         // matrices that have some

  std::uint64_t bytes() const;
  std::string_view type() const;
  // Whether importances, where there are any, count.
  bool is_weighed() const;
  std::int64_t matrices() const;
};
// Throws std::runtime_error that names the file and the tensor where it is quantised already.
TensorJob job_of(const ConversionSource& source, const ConversionTensor& tensor,
                 const QuantizationChoices& choices);
// Throws std::runtime_error that names the entry where it does not fit the tensor.
void weigh(TensorJob& job, const NamedImportance& by);
// Throws std::runtime_error where no entry is of any tensor of the model.
void refuse_foreign(const ConversionSource& source, const NamedImportance& by);

// Sums over a tensor.
struct WeightErrors {
  double errors = 0;   // squared
  double squares = 0;  // of weights
};

// The same bytes for any number of threads.
class TensorQuantizer {
 public:
  using Write = std::function<void(std::span<const std::byte>)>;
  using Advance = std::function<void(std::int64_t rows)>;

  // Both must live as long.
  TensorQuantizer(const ConversionSource& source, Team& team);

  // Writes the tensor in its new format (`to` must be set), slab by slab, and says after each of how many rows it was.
  // Throws std::runtime_error that names the file, the tensor and the weight that is not finite or too large.
  WeightErrors quantize(const TensorJob& job, const Write& write, const Advance& advance);
  // Throws as quantize() where weights of floats are not finite.
  void check_finite(const ConversionTensor& tensor);

 private:
  WeightErrors quantize_slab(const TensorJob& job, float scale, std::int64_t first, std::int64_t rows,
                             const Write& write);
  float ternary_scale(const ConversionTensor& tensor);
  std::span<float> buffer(int index, const ConversionTensor& tensor);
  [[noreturn]] void refuse_row(const ConversionTensor& tensor, std::int64_t row, jit::FormatKind kind) const;

  const ConversionSource& source_;
  Team& team_;
  std::vector<std::vector<float>> buffers_;
  std::vector<std::byte> blocks_;     // of a slab
  std::vector<WeightErrors> by_row_;  // so that a tensor's sums do not depend on who added which
};

}  // namespace llamajit
