#include "runtime/convert/tensor_quantizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>

#include "jit/formats/quantizer.h"
#include "runtime/base/excerpt.h"
#include "runtime/base/numbers.h"
#include "runtime/files/ggml_type.h"

namespace llamajit {
namespace {

using jit::FormatKind;

constexpr std::int64_t kSlabWeights = 1 << 22;  // quantised before they are written
constexpr std::size_t kI2sTail = 32;            // its scale, padded

// The rows of a tensor that have importances of their own: those of an expert, or all.
std::int64_t rows_of_matrix(const ConversionTensor& tensor) {
  return tensor.dims.size() > 2 ? tensor.dims[1] : tensor.rows();
}

const float* importance_at(const TensorJob& job, std::int64_t row) {
  if (job.importance.empty()) return nullptr;
  return job.importance.data() + row / rows_of_matrix(*job.tensor) * job.tensor->cols();
}

WeightErrors errors_of(std::span<const float> x, std::span<const float> y) {
  WeightErrors sums;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double weight = x[i], error = weight - static_cast<double>(y[i]);
    sums.errors += error * error;
    sums.squares += weight * weight;
  }
  return sums;
}

}  // namespace

std::uint64_t TensorJob::bytes() const {
  if (!to) return tensor->data.size();
  const auto weights = static_cast<std::uint64_t>(jit::row_bytes(*to, tensor->cols()) * tensor->rows());
  return weights + (*to == FormatKind::i2_s ? kI2sTail : 0);
}

std::string_view TensorJob::type() const {
  return to ? ggml_name(*to) : tensor->type;
}

bool TensorJob::is_weighed() const {
  return to && !takes_codes && jit::format_traits(*to) != nullptr;
}

std::int64_t TensorJob::matrices() const {
  return tensor->rows() / rows_of_matrix(*tensor);
}

TensorJob job_of(const ConversionSource& source, const ConversionTensor& tensor,
                 const QuantizationChoices& choices) {
  if (!is_quantized(tensor.name, static_cast<int>(tensor.dims.size()))) return {&tensor, {}};
  const FormatChoice choice = choose_format(choices, source.outline, {tensor.name, tensor.cols()});
  if (tensor.type == ggml_name(choice.kind)) return {&tensor, {}, choice.wanted};
  if (tensor.codes && tensor.codes->to == choice.kind) return {&tensor, choice.kind, choice.wanted, true};
  if (!tensor.floats) {
    throw std::runtime_error(fmt::format(
        "{}: {}: expected F32, F16 or BF16 (what is quantised already loses more a second time), found {}",
        source.path(), excerpt(tensor.name), tensor.type));
  }
  return {&tensor, choice.kind, choice.wanted};
}

void weigh(TensorJob& job, const NamedImportance& by) {
  if (!job.is_weighed()) return;
  const ConversionTensor& tensor = *job.tensor;
  const auto entry = by.matrix.entries.find(tensor.name);
  if (entry == by.matrix.entries.end()) return;
  const std::int64_t matrices = job.matrices(), cols = tensor.cols();
  job.importance = importance_of(entry->second, by.name, tensor.name, matrices, cols);
  for (std::int64_t i = 0; i < matrices; ++i) {
    const auto sums = std::span(job.importance).subspan(static_cast<std::size_t>(i * cols));
    const bool any =
        std::ranges::any_of(sums.first(static_cast<std::size_t>(cols)), [](float x) { return x > 0; });
    job.weighed += any ? 1 : 0;
  }
}

// Of another model, most likely.
void refuse_foreign(const ConversionSource& source, const NamedImportance& by) {
  const auto is_named = [&](const ConversionTensor& tensor) {
    return by.matrix.entries.contains(tensor.name);
  };
  if (std::ranges::any_of(source.tensors, is_named)) return;
  throw std::runtime_error(fmt::format(
      "{}: entries: expected some with names of {}'s tensors, found {} others, '{}' first", by.name,
      source.path(), by.matrix.entries.size(), excerpt(by.matrix.entries.begin()->first)));
}

TensorQuantizer::TensorQuantizer(const ConversionSource& source, Team& team) : source_(source), team_(team) {
  std::int64_t most_cols = 0;
  for (const ConversionTensor& tensor : source.tensors) most_cols = std::max(most_cols, tensor.cols());
  buffers_.assign(2 * static_cast<std::size_t>(team.size()),
                  std::vector<float>(static_cast<std::size_t>(most_cols)));
}

WeightErrors TensorQuantizer::quantize(const TensorJob& job, const Write& write, const Advance& advance) {
  const ConversionTensor& tensor = *job.tensor;
  const FormatKind kind = *job.to;
  const float scale = kind == FormatKind::i2_s ? ternary_scale(tensor) : 0;
  const std::int64_t slab_rows = std::clamp<std::int64_t>(kSlabWeights / tensor.cols(), 1, tensor.rows());
  WeightErrors sums;
  for (std::int64_t first = 0; first < tensor.rows(); first += slab_rows) {
    const std::int64_t rows = std::min(slab_rows, tensor.rows() - first);
    const WeightErrors slab = quantize_slab(job, scale, first, rows, write);
    sums.errors += slab.errors;
    sums.squares += slab.squares;
    advance(rows);
  }
  if (kind == FormatKind::i2_s) {
    std::byte tail[kI2sTail] = {};
    std::memcpy(tail, &scale, sizeof scale);
    write(tail);
  }
  return sums;
}

WeightErrors TensorQuantizer::quantize_slab(const TensorJob& job, float scale, std::int64_t first,
                                            std::int64_t rows, const Write& write) {
  const ConversionTensor& tensor = *job.tensor;
  const FormatKind kind = *job.to;
  const std::int64_t row_bytes = jit::row_bytes(kind, tensor.cols());
  blocks_.resize(static_cast<std::size_t>(rows * row_bytes));
  by_row_.assign(static_cast<std::size_t>(rows), {});
  auto share = [&](int thread) {
    const std::span<float> x = buffer(2 * thread, tensor), y = buffer(2 * thread + 1, tensor);
    const auto [begin, end] = share_of(rows, thread, team_.size());
    for (std::int64_t row = begin; row < end; ++row) {
      std::byte* const blocks = blocks_.data() + row * row_bytes;
      read_row(tensor, first + row, x.data());
      if (job.takes_codes) {
        take_codes(tensor, first + row, blocks);
      } else {
        jit::quantize_row(kind, x.data(), tensor.cols(), blocks, scale, importance_at(job, first + row));
      }
      jit::dequantize_row(kind, blocks, tensor.cols(), y.data(), scale);
      by_row_[static_cast<std::size_t>(row)] = errors_of(x, y);
    }
  };
  team_.run(share);
  WeightErrors sums;
  for (std::int64_t row = 0; row < rows; ++row) {
    const WeightErrors& of_row = by_row_[static_cast<std::size_t>(row)];
    if (!std::isfinite(of_row.errors)) refuse_row(tensor, first + row, kind);
    sums.errors += of_row.errors;
    sums.squares += of_row.squares;
  }
  write(blocks_);
  return sums;
}

// i2_s's one scale for the tensor: the mean of the magnitudes above half of it, found step by step.
float TensorQuantizer::ternary_scale(const ConversionTensor& tensor) {
  constexpr int kMostSteps = 20;
  std::vector<jit::Magnitudes> by_row(static_cast<std::size_t>(tensor.rows()));
  float scale = 0;
  for (int step = 0; step < kMostSteps; ++step) {
    auto share = [&](int thread) {
      const std::span<float> x = buffer(2 * thread, tensor);
      const auto [begin, end] = share_of(tensor.rows(), thread, team_.size());
      for (std::int64_t row = begin; row < end; ++row) {
        read_row(tensor, row, x.data());
        by_row[static_cast<std::size_t>(row)] = jit::magnitudes_above(x.data(), tensor.cols(), scale / 2);
      }
    };
    team_.run(share);
    jit::Magnitudes all;
    for (const jit::Magnitudes& row : by_row) all = {all.sum + row.sum, all.count + row.count};
    const float next = all.count > 0 ? static_cast<float>(all.sum / static_cast<double>(all.count)) : 0;
    if (next == scale) break;
    scale = next;
  }
  return scale;
}

// Two rows' room for each thread.
std::span<float> TensorQuantizer::buffer(int index, const ConversionTensor& tensor) {
  return std::span(buffers_[static_cast<std::size_t>(index)]).first(static_cast<std::size_t>(tensor.cols()));
}

void TensorQuantizer::check_finite(const ConversionTensor& tensor) {
  const std::span<float> x = buffer(0, tensor);
  for (std::int64_t row = 0; row < tensor.rows(); ++row) {
    read_row(tensor, row, x.data());
    if (!std::ranges::all_of(x, [](float weight) { return std::isfinite(weight); })) {
      refuse_row(tensor, row, tensor.floats->kind);
    }
  }
}

void TensorQuantizer::refuse_row(const ConversionTensor& tensor, std::int64_t row, FormatKind kind) const {
  std::vector<float> x(static_cast<std::size_t>(tensor.cols()));
  read_row(tensor, row, x.data());
  const auto bad = std::ranges::find_if(x, [](float weight) { return !std::isfinite(weight); });
  const auto largest = std::ranges::max_element(x, {}, [](float weight) { return std::abs(weight); });
  const bool finite = bad == x.end();
  const auto found = finite ? largest : bad;
  throw std::runtime_error(fmt::format(
      "{}: {}: expected {}, found {} at ({}, {})", source_.path(), excerpt(tensor.name),
      finite ? fmt::format("weights in {}'s range", ggml_name(kind)) : std::string("finite weights"),
      without_sign_of_nan(*found), row, found - x.begin()));
}

}  // namespace llamajit
