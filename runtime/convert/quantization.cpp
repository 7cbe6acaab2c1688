#include "runtime/convert/quantization.h"

#include <cmath>
#include <span>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/file_replacement.h"
#include "runtime/base/team.h"
#include "runtime/files/ggml_type.h"

namespace llamajit {
namespace {

class Quantizer {
 public:
  Quantizer(const ConversionSource& source, const std::string& out, QuantizationChoices choices, int threads,
            const QuantizationProgress& progress, const NamedImportance* importance)
      : source_(source),
        writer_(out),
        choices_(std::move(choices)),
        team_(threads),
        quantizer_(source, team_),
        progress_(progress),
        importance_(importance) {}

  Quantization run() {
    for (const ConversionTensor& tensor : source_.tensors) {
      jobs_.push_back(job_of(source_, tensor, choices_));
      if (importance_ != nullptr) weigh(jobs_.back(), *importance_);
    }
    for (const TensorJob& job : jobs_) weights_ += job.tensor->cols() * job.tensor->rows();
    write_header();
    Quantization result;
    for (const TensorJob& job : jobs_) result.tensors.push_back(convert(job));
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
    for (const TensorJob& job : jobs_) {
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

  QuantizedTensor convert(const TensorJob& job) {
    const ConversionTensor& tensor = *job.tensor;
    QuantizedTensor result{tensor.name,
                           tensor.dims,
                           tensor.type,
                           job.type(),
                           job.wanted ? ggml_name(*job.wanted) : "",
                           tensor.data.size() + tensor.scales.size(),
                           job.bytes()};
    result.matrices = job.matrices();
    if (job.to) {
      if (importance_ != nullptr && job.is_weighed()) result.weighed = job.weighed;
      const WeightErrors sums = quantizer_.quantize(
          job, [&](std::span<const std::byte> bytes) { writer_.write_data(bytes); },
          [&](std::int64_t rows) { advance(tensor, rows); });
      result.rms_error = std::sqrt(sums.errors / static_cast<double>(tensor.cols() * tensor.rows()));
      result.relative_error = sums.squares > 0 ? std::sqrt(sums.errors / sums.squares) : 0;
    } else {
      if (tensor.floats) quantizer_.check_finite(tensor);
      writer_.write_data(tensor.data);
      advance(tensor, tensor.rows());
    }
    return result;
  }

  void advance(const ConversionTensor& tensor, std::int64_t rows) {
    done_ += rows * tensor.cols();
    if (progress_) progress_(tensor.name, static_cast<double>(done_) / static_cast<double>(weights_));
  }

  const ConversionSource& source_;
  GgufWriter writer_;
  QuantizationChoices choices_;
  Team team_;
  TensorQuantizer quantizer_;
  const QuantizationProgress& progress_;
  const NamedImportance* importance_;
  std::vector<TensorJob> jobs_;
  std::int64_t weights_ = 0, done_ = 0;
};

}  // namespace

void check_before_quantizing(const ConversionSource& source, const std::string& out,
                             const NamedImportance* importance) {
  refuse_replacing(out, source.paths);
  if (importance != nullptr) refuse_foreign(source, *importance);
  const FileReplacement unwritten(out);
}

Quantization quantize_model(const ConversionSource& source, const std::string& out,
                            const QuantizationChoices& choices, int threads,
                            const QuantizationProgress& progress, const NamedImportance* importance) {
  check_before_quantizing(source, out, importance);
  QuantizationChoices with = choices;
  with.weighed = importance != nullptr;
  return Quantizer(source, out, with, threads, progress, importance).run();
}

}  // namespace llamajit
