// The tensors of a GGUF file as a model has them: looked up by name, held to a shape and a format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <fmt/format.h>

#include "jit/formats/stored_numbers.h"
#include "runtime/files/gguf.h"
#include "runtime/model/families.h"
#include "runtime/model/model_file.h"

namespace llamajit {

// What a file has that nobody looked up is refused in the end. Everything throws std::runtime_error that names
// the file and the tensor, what was expected and what was found.
class GgufTensors {
 public:
  GgufTensors(const GgufFile& file, const Family& family) : file_(file), family_(family) {}

 protected:
  static std::string shape_of(std::span<const std::int64_t> dims);
  // Their tiles alternate.
  void check_same_format(const Tensor& gate, const Tensor& up) const;
  static Tensor rows_of(const Tensor& all, std::string_view part, std::int64_t first, std::int64_t rows);
  // Its values, row by row, rounded to F16.
  static std::vector<std::byte> as_halves(const Tensor& all);
  // From row `first` on, `block` of each `stride` rows.
  static Tensor blocks_of(const Tensor& all, std::string_view part, std::int64_t first, std::int64_t block,
                          std::int64_t stride);
  // Rows of a tensor in another order; row_of(row) says where each stands.
  template <class RowOf>
  Tensor rearranged(const Tensor& all, std::string_view part, std::int64_t rows, RowOf row_of) {
    const std::size_t row_bytes = all.data.size() / static_cast<std::size_t>(all.rows);
    std::vector<std::byte>& bytes = rearranged_.emplace_back();
    bytes.reserve(static_cast<std::size_t>(rows) * row_bytes);
    for (std::int64_t row = 0; row < rows; ++row) {
      const auto from = all.data.subspan(static_cast<std::size_t>(row_of(row)) * row_bytes, row_bytes);
      bytes.insert(bytes.end(), from.begin(), from.end());
    }
    Tensor tensor = all;
    tensor.name = fmt::format("{} ({})", all.name, part);
    tensor.rows = rows;
    tensor.data = bytes;
    return tensor;
  }
  // Values of a tensor in another order; place_of(row, col) says where each stands. Coded ones become F16.
  template <class PlaceOf>
  Tensor reordered(const Tensor& all, std::string_view part, std::int64_t rows, std::int64_t cols,
                   PlaceOf place_of) {
    Tensor tensor = all;
    std::vector<std::byte> halves;
    if (has_codes(all.format)) {
      tensor.format = {jit::FormatKind::f16, 0};
      halves = as_halves(all);
    }
    const std::span<const std::byte> from = halves.empty() ? all.data : halves;
    const auto size = static_cast<std::size_t>(jit::float_bytes(tensor.format.kind));
    std::vector<std::byte>& bytes = rearranged_.emplace_back(static_cast<std::size_t>(rows * cols) * size);
    std::byte* to = bytes.data();
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t col = 0; col < cols; ++col, to += size) {
        const auto [from_row, from_col] = place_of(row, col);
        std::memcpy(to, &from[static_cast<std::size_t>(from_row * all.cols + from_col) * size], size);
      }
    }
    tensor.name = fmt::format("{} ({})", all.name, part);
    tensor.rows = rows;
    tensor.cols = cols;
    tensor.data = bytes;
    tensor.scales = {};
    return tensor;
  }
  static Tensor values_of(const Tensor& vector, std::string_view part, std::int64_t first, std::int64_t n);
  // Whether the file has a tensor that may be missing; one that is needed is looked for in any case, and one
  // that the family does not have is left for refuse_other_tensors().
  bool has(const std::string& name, Presence presence) const;
  const GgufTensor& find(const std::string& name);
  Tensor vector(const std::string& name, std::int64_t size) { return floats(name, 1, size); }
  Tensor floats(const std::string& name, std::int64_t rows, std::int64_t cols);
  Tensor vector(const std::string& name, std::int64_t size, Presence presence) {
    return has(name, presence) ? vector(name, size) : Tensor();
  }
  Tensor matrix(const std::string& name, std::int64_t rows, std::int64_t cols) {
    return bound(name, rows, cols);
  }
  // With the scale and the bias that may go with it.
  Tensor matrix(const std::string& name, std::int64_t rows, std::int64_t cols, Presence has_bias,
                Tensor& scale, Tensor& bias);
  // Matrices one behind the other, as one of all their rows.
  Tensor experts(const std::string& name, std::int64_t n, std::int64_t rows, std::int64_t cols);
  static std::span<const std::int64_t> dims_of(const GgufTensor& tensor) {
    return std::span(tensor.dims).first(static_cast<std::size_t>(tensor.n_dims));
  }
  Tensor bound(const std::string& name, std::int64_t rows, std::int64_t cols);
  Tensor view(const GgufTensor& found, std::int64_t rows, std::int64_t cols) const;
  jit::Format format_of(const GgufTensor& tensor) const;
  // A tensor that nobody asked for is a part of the computation that would be left out.
  void refuse_other_tensors(int n_layers) const;
  // The same of a layer's.
  void refuse_other_tensors_of(std::string_view prefix) const;
  // Of one that predicts further tokens.
  bool is_of_later_layer(std::string_view name, int n_layers) const;

  const GgufFile& file_;
  const Family& family_;
  std::vector<std::vector<std::byte>> rearranged_;

 private:
  [[noreturn]] void refuse_other(const GgufTensor& tensor) const;

  std::unordered_set<std::string_view> bound_;
};

}  // namespace llamajit
