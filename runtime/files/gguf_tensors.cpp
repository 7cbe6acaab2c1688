#include "runtime/files/gguf_tensors.h"

#include <array>
#include <bit>
#include <charconv>
#include <utility>

#include <fmt/ranges.h>

#include "jit/base/float_bits.h"

namespace llamajit {

std::string GgufTensors::shape_of(std::span<const std::int64_t> dims) {
  return fmt::format("({})", fmt::join(dims.rbegin(), dims.rend(), ", "));
}

void GgufTensors::check_same_format(const Tensor& gate, const Tensor& up) const {
  if (gate.format == up.format) return;
  file_.fail(up.name, fmt::format("the format of {}, {}", gate.name, to_string(gate.format)),
             to_string(up.format));
}

Tensor GgufTensors::rows_of(const Tensor& all, std::string_view part, std::int64_t first, std::int64_t rows) {
  const std::size_t row_bytes = all.data.size() / static_cast<std::size_t>(all.rows);
  Tensor tensor = all;
  tensor.name = fmt::format("{} ({})", all.name, part);
  tensor.rows = rows;
  tensor.data = all.data.subspan(static_cast<std::size_t>(first) * row_bytes,
                                 static_cast<std::size_t>(rows) * row_bytes);
  return tensor;
}

std::vector<std::byte> GgufTensors::as_halves(const Tensor& all) {
  const jit::SourceMatrix from = source(all);
  std::vector<std::byte> halves;
  halves.reserve(static_cast<std::size_t>(from.rows * from.cols) * sizeof(std::uint16_t));
  std::vector<float> values(static_cast<std::size_t>(from.cols));
  for (std::int64_t row = 0; row < from.rows; ++row) {
    source_row(from, row, values);
    for (const float value : values) {
      const auto half = std::bit_cast<std::array<std::byte, 2>>(jit::float_to_half(value));
      halves.insert(halves.end(), half.begin(), half.end());
    }
  }
  return halves;
}

Tensor GgufTensors::blocks_of(const Tensor& all, std::string_view part, std::int64_t first,
                              std::int64_t block, std::int64_t stride) {
  Tensor tensor = rows_of(all, part, first, all.rows - stride + block);
  tensor.rows = all.rows / stride * block;
  tensor.block = block;
  tensor.block_stride = stride;
  return tensor;
}

Tensor GgufTensors::values_of(const Tensor& vector, std::string_view part, std::int64_t first,
                              std::int64_t n) {
  Tensor column = vector;
  std::swap(column.rows, column.cols);
  Tensor tensor = rows_of(column, part, first, n);
  std::swap(tensor.rows, tensor.cols);
  return tensor;
}

bool GgufTensors::has(const std::string& name, Presence presence) const {
  return presence == Presence::needed ||
         (presence == Presence::optional && file_.find_tensor(name) != nullptr);
}

const GgufTensor& GgufTensors::find(const std::string& name) {
  const GgufTensor* const tensor = file_.find_tensor(name);
  if (tensor == nullptr) file_.fail(name, "a tensor of this name", "none");
  bound_.insert(tensor->name);
  return *tensor;
}

Tensor GgufTensors::floats(const std::string& name, std::int64_t rows, std::int64_t cols) {
  Tensor tensor = bound(name, rows, cols);
  if (!has_codes(tensor.format)) return tensor;
  file_.fail(name, "one of the formats F32, F16, BF16", to_string(tensor.format));
}

Tensor GgufTensors::matrix(const std::string& name, std::int64_t rows, std::int64_t cols, Presence has_bias,
                           Tensor& scale, Tensor& bias) {
  scale = vector(name + ".scale", 1, family_.scales);
  // A scale for products in NVFP4; inputs are quantised otherwise here, and need none.
  if (const GgufTensor* const found = file_.find_tensor(name + ".input_scale")) bound_.insert(found->name);
  bias = vector(name + ".bias", rows, has_bias);
  return matrix(name + ".weight", rows, cols);
}

Tensor GgufTensors::experts(const std::string& name, std::int64_t n, std::int64_t rows, std::int64_t cols) {
  const GgufTensor& found = find(name);
  if (found.dims != std::array<std::int64_t, 4>{cols, rows, n, 1}) {
    file_.fail(name, fmt::format("shape ({}, {}, {})", n, rows, cols), shape_of(dims_of(found)));
  }
  return view(found, n * rows, cols);
}

Tensor GgufTensors::bound(const std::string& name, std::int64_t rows, std::int64_t cols) {
  const GgufTensor& found = find(name);
  if (found.dims != std::array<std::int64_t, 4>{cols, rows, 1, 1}) {
    file_.fail(name, rows == 1 ? fmt::format("shape ({})", cols) : fmt::format("shape ({}, {})", rows, cols),
               shape_of(dims_of(found)));
  }
  return view(found, rows, cols);
}

Tensor GgufTensors::view(const GgufTensor& found, std::int64_t rows, std::int64_t cols) const {
  const std::string name(found.name);
  Tensor tensor{name, format_of(found), rows, cols, found.data, {}};
  if (tensor.format.kind == jit::FormatKind::i2_s) {
    const std::size_t tail = static_cast<std::size_t>(found.type->tail_bytes);
    tensor.data = found.data.first(found.data.size() - tail);
    tensor.scales = found.data.last(tail).first(sizeof(float));
  }
  return tensor;
}

jit::Format GgufTensors::format_of(const GgufTensor& tensor) const {
  if (const auto format = jit::find_ggml_format(tensor.type->name)) return *format;
  std::vector<std::string_view> names;
  for (const jit::Format& format : jit::ggml_formats()) names.push_back(ggml_name(format.kind));
  file_.fail(tensor.name, fmt::format("one of the formats {}", fmt::join(names, ", ")), tensor.type->name);
}

void GgufTensors::refuse_other_tensors(int n_layers) const {
  for (const GgufTensor& tensor : file_.tensors()) {
    if (!bound_.contains(tensor.name) && !is_of_later_layer(tensor.name, n_layers)) refuse_other(tensor);
  }
}

void GgufTensors::refuse_other_tensors_of(std::string_view prefix) const {
  for (const GgufTensor& tensor : file_.tensors()) {
    if (tensor.name.starts_with(prefix) && !bound_.contains(tensor.name)) refuse_other(tensor);
  }
}

void GgufTensors::refuse_other(const GgufTensor& tensor) const {
  file_.fail(tensor.name, fmt::format("tensors that a model of the family {} has", family_.name), "another");
}

bool GgufTensors::is_of_later_layer(std::string_view name, int n_layers) const {
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return false;
  name.remove_prefix(kPrefix.size());
  int layer = -1;
  std::from_chars(name.data(), name.data() + name.size(), layer);
  const std::string key = fmt::format("{}.nextn_predict_layers", family_.name);
  return layer >= n_layers && layer < n_layers + file_.integer(key, 0, 1 << 14).value_or(0);
}

}  // namespace llamajit
