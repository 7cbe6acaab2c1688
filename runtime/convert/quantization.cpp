#include "runtime/convert/quantization.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "jit/formats/quantizer.h"
#include "runtime/base/numbers.h"
#include "runtime/base/team.h"
#include "runtime/files/ggml_type.h"

namespace llamajit {
namespace {

using jit::FormatKind;

constexpr std::int64_t kSlabWeights = 1 << 22;  // quantised before they are written
constexpr std::size_t kI2sTail = 32;            // its scale, padded

struct Job {
  const ConversionTensor* tensor;
  std::optional<FormatKind> to;  // nothing: the data as it is
  std::optional<FormatKind> wanted;
  bool takes_codes = false;         // as they are
  std::vector<float> importance{};  // (matrices, cols), or none
  std::int64_t weighed = 0;         // matrices that have some

  std::uint64_t bytes() const {
    if (!to) return tensor->data.size();
    const auto weights = static_cast<std::uint64_t>(jit::row_bytes(*to, tensor->cols()) * tensor->rows());
    return weights + (*to == FormatKind::i2_s ? kI2sTail : 0);
  }
  std::string_view type() const { return to ? ggml_name(*to) : tensor->type; }
};

Job job_of(const ConversionSource& source, const ConversionTensor& tensor,
           const QuantizationChoices& choices) {
  if (!is_quantized(tensor.name, static_cast<int>(tensor.dims.size()))) return {&tensor, {}, {}};
  const FormatChoice choice = choose_format(choices, source.outline, {tensor.name, tensor.cols()});
  if (tensor.type == ggml_name(choice.kind)) return {&tensor, {}, choice.wanted};
  if (tensor.codes && tensor.codes->to == choice.kind) return {&tensor, choice.kind, choice.wanted, true};
  if (!tensor.floats) {
    throw std::runtime_error(fmt::format(
        "{}: {}: expected F32, F16 or BF16 (what is quantised already loses more a second time), found {}",
        source.path(), tensor.name, tensor.type));
  }
  return {&tensor, choice.kind, choice.wanted};
}

// The rows of a tensor that have importances of their own: those of an expert, or all.
std::int64_t rows_of_matrix(const ConversionTensor& tensor) {
  return tensor.dims.size() > 2 ? tensor.dims[1] : tensor.rows();
}

bool is_weighed(const Job& job) {
  return job.to && !job.takes_codes && jit::format_traits(*job.to) != nullptr;
}

void weigh(Job& job, const NamedImportance& by) {
  if (!is_weighed(job)) return;
  const ConversionTensor& tensor = *job.tensor;
  const auto entry = by.matrix.entries.find(tensor.name);
  if (entry == by.matrix.entries.end()) return;
  const std::int64_t matrices = tensor.rows() / rows_of_matrix(tensor), cols = tensor.cols();
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
  throw std::runtime_error(
      fmt::format("{}: entries: expected some with names of {}'s tensors, found {} others, '{}' first",
                  by.name, source.path(), by.matrix.entries.size(), by.matrix.entries.begin()->first));
}

// Sums of a row, so that those of a tensor do not depend on who added which.
struct RowErrors {
  double errors = 0;
  double squares = 0;
};

class Quantizer {
 public:
  Quantizer(const ConversionSource& source, const std::string& out, const QuantizationChoices& choices,
            int threads, const QuantizationProgress& progress, const NamedImportance* importance)
      : source_(source),
        writer_(out),
        choices_(choices),
        team_(threads),
        progress_(progress),
        importance_(importance) {}

  Quantization run() {
    if (importance_ != nullptr) refuse_foreign(source_, *importance_);
    for (const ConversionTensor& tensor : source_.tensors) {
      jobs_.push_back(job_of(source_, tensor, choices_));
      if (importance_ != nullptr) weigh(jobs_.back(), *importance_);
    }
    std::int64_t most_cols = 0;
    for (const Job& job : jobs_) {
      weights_ += job.tensor->cols() * job.tensor->rows();
      most_cols = std::max(most_cols, job.tensor->cols());
    }
    buffers_.assign(2 * static_cast<std::size_t>(team_.size()),
                    std::vector<float>(static_cast<std::size_t>(most_cols)));
    write_header();
    Quantization result;
    for (const Job& job : jobs_) result.tensors.push_back(convert(job));
    source_.check_intact();
    writer_.finish();
    result.file_bytes = writer_.size();
    return result;
  }

 private:
  void write_header() {
    constexpr std::uint32_t kQuantizationVersion = 2;  // of ggml's block layouts
    source_.add_keys(writer_);
    writer_.add("general.quantization_version", kQuantizationVersion);
    writer_.add("general.file_type", choices_.type->file_type);
    if (importance_ != nullptr) write_importance_keys();
    for (const Job& job : jobs_) {
      const std::uint32_t number = job.to ? find_ggml_type(job.type())->number : job.tensor->type_number;
      writer_.add_tensor(job.tensor->name, job.tensor->dims, number, job.bytes());
    }
    writer_.begin_data();
  }

  // As llama.cpp's.
  void write_importance_keys() {
    const ImportanceMatrix& matrix = importance_->matrix;
    writer_.add("quantize.imatrix.file", importance_->name);
    if (!matrix.datasets.empty()) writer_.add("quantize.imatrix.dataset", matrix.datasets.front());
    writer_.add("quantize.imatrix.entries_count", static_cast<std::uint32_t>(matrix.entries.size()));
    if (matrix.chunks > 0) {
      writer_.add("quantize.imatrix.chunks_count", static_cast<std::uint32_t>(matrix.chunks));
    }
  }

  QuantizedTensor convert(const Job& job) {
    const ConversionTensor& tensor = *job.tensor;
    QuantizedTensor result{tensor.name,
                           tensor.dims,
                           tensor.type,
                           job.type(),
                           job.wanted ? ggml_name(*job.wanted) : "",
                           tensor.data.size() + tensor.scales.size(),
                           job.bytes()};
    result.matrices = tensor.rows() / rows_of_matrix(tensor);
    if (job.to) {
      if (importance_ != nullptr && is_weighed(job)) result.weighed = job.weighed;
      const RowErrors sums = quantize(job);
      result.rms_error = std::sqrt(sums.errors / static_cast<double>(tensor.cols() * tensor.rows()));
      result.relative_error = sums.squares > 0 ? std::sqrt(sums.errors / sums.squares) : 0;
    } else {
      if (tensor.floats) check_finite(tensor);
      writer_.write_data(tensor.data);
      advance(tensor, tensor.rows());
    }
    return result;
  }

  RowErrors quantize(const Job& job) {
    const ConversionTensor& tensor = *job.tensor;
    const FormatKind kind = *job.to;
    const float scale = kind == FormatKind::i2_s ? ternary_scale(tensor) : 0;
    const std::int64_t slab_rows = std::clamp<std::int64_t>(kSlabWeights / tensor.cols(), 1, tensor.rows());
    RowErrors sums;
    for (std::int64_t first = 0; first < tensor.rows(); first += slab_rows) {
      const std::int64_t rows = std::min(slab_rows, tensor.rows() - first);
      const RowErrors slab = quantize_slab(job, scale, first, rows);
      sums.errors += slab.errors;
      sums.squares += slab.squares;
      advance(tensor, rows);
    }
    if (kind == FormatKind::i2_s) {
      std::byte tail[kI2sTail] = {};
      std::memcpy(tail, &scale, sizeof scale);
      writer_.write_data(tail);
    }
    return sums;
  }

  RowErrors quantize_slab(const Job& job, float scale, std::int64_t first, std::int64_t rows) {
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
    RowErrors sums;
    for (std::int64_t row = 0; row < rows; ++row) {
      const RowErrors& of_row = by_row_[static_cast<std::size_t>(row)];
      if (!std::isfinite(of_row.errors)) refuse_row(tensor, first + row, kind);
      sums.errors += of_row.errors;
      sums.squares += of_row.squares;
    }
    writer_.write_data(blocks_);
    return sums;
  }

  static const float* importance_at(const Job& job, std::int64_t row) {
    if (job.importance.empty()) return nullptr;
    return job.importance.data() + row / rows_of_matrix(*job.tensor) * job.tensor->cols();
  }

  static RowErrors errors_of(std::span<const float> x, std::span<const float> y) {
    RowErrors sums;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double weight = x[i], error = weight - static_cast<double>(y[i]);
      sums.errors += error * error;
      sums.squares += weight * weight;
    }
    return sums;
  }

  // i2_s's one scale for the tensor: the mean of the magnitudes above half of it, found step by step.
  float ternary_scale(const ConversionTensor& tensor) {
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
  std::span<float> buffer(int index, const ConversionTensor& tensor) {
    return std::span(buffers_[static_cast<std::size_t>(index)])
        .first(static_cast<std::size_t>(tensor.cols()));
  }

  void check_finite(const ConversionTensor& tensor) {
    const std::span<float> x = buffer(0, tensor);
    for (std::int64_t row = 0; row < tensor.rows(); ++row) {
      read_row(tensor, row, x.data());
      if (!std::ranges::all_of(x, [](float weight) { return std::isfinite(weight); })) {
        refuse_row(tensor, row, tensor.floats->kind);
      }
    }
  }

  [[noreturn]] void refuse_row(const ConversionTensor& tensor, std::int64_t row, FormatKind kind) const {
    std::vector<float> x(static_cast<std::size_t>(tensor.cols()));
    read_row(tensor, row, x.data());
    const auto bad = std::ranges::find_if(x, [](float weight) { return !std::isfinite(weight); });
    const auto largest = std::ranges::max_element(x, {}, [](float weight) { return std::abs(weight); });
    const bool finite = bad == x.end();
    const auto found = finite ? largest : bad;
    throw std::runtime_error(fmt::format(
        "{}: {}: expected {}, found {} at ({}, {})", source_.path(), tensor.name,
        finite ? fmt::format("weights in {}'s range", ggml_name(kind)) : std::string("finite weights"),
        without_sign_of_nan(*found), row, found - x.begin()));
  }

  void advance(const ConversionTensor& tensor, std::int64_t rows) {
    done_ += rows * tensor.cols();
    if (progress_) progress_(tensor.name, static_cast<double>(done_) / static_cast<double>(weights_));
  }

  const ConversionSource& source_;
  GgufWriter writer_;
  QuantizationChoices choices_;
  Team team_;
  const QuantizationProgress& progress_;
  const NamedImportance* importance_;
  std::vector<Job> jobs_;
  std::int64_t weights_ = 0, done_ = 0;
  std::vector<std::vector<float>> buffers_;
  std::vector<std::byte> blocks_;  // of a slab
  std::vector<RowErrors> by_row_;
};

void refuse_own_files(const ConversionSource& source, const std::string& out) {
  for (const std::string& path : source.paths) {
    std::error_code absent;
    if (!std::filesystem::equivalent(path, out, absent)) continue;
    throw std::runtime_error(
        fmt::format("{}: expected another file than the model itself, found {}", out, path));
  }
}

}  // namespace

Quantization quantize_model(const ConversionSource& source, const std::string& out,
                            const QuantizationChoices& choices, int threads,
                            const QuantizationProgress& progress, const NamedImportance* importance) {
  refuse_own_files(source, out);
  QuantizationChoices with = choices;
  with.weighed = importance != nullptr;
  return Quantizer(source, out, with, threads, progress, importance).run();
}

}  // namespace llamajit
