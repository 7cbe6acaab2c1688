#include "runtime/mix/mix_search.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/team.h"

namespace llamajit {
namespace {

using jit::FormatKind;

constexpr std::size_t kMostParts = 64;  // where layers can be joined so far

QuantizationChoices choice_of(const ConversionTensor& tensor, FormatKind kind) {
  QuantizationChoices choices;
  choices.by_name.emplace(tensor.name, kind);
  return choices;
}

std::uint64_t bytes_of(const ConversionTensor& tensor, FormatKind kind) {
  return TensorJob{&tensor, kind}.bytes();
}

// Tensors whose parts have one name are in one: "blk.2.ffn_up.weight" for gate and up of layer 2, and where three layers
// are joined, for those of layers 3 and 4.
std::string part_of(std::string_view tensor, int joined_layers) {
  const int layer = layer_of(tensor);
  const std::size_t dot = tensor.find('.', std::string_view("blk.").size());
  if (layer < 0 || dot == std::string_view::npos) return std::string(tensor);
  std::string_view role = tensor.substr(dot);
  constexpr std::string_view kGate = ".ffn_gate", kUp = ".ffn_up";
  std::string name = fmt::format("blk.{}", layer / joined_layers);
  if (role.starts_with(kGate)) {
    name += kUp;
    role.remove_prefix(kGate.size());
  }
  return name.append(role);
}

}  // namespace

MixSearch::MixSearch(const ConversionSource& source, const MixRequest& request)
    : source_(source), request_(request) {
  const auto is_fixed = [&](const ConversionTensor& tensor) {
    if (!is_quantized(tensor.name, static_cast<int>(tensor.dims.size()))) return true;
    return given_format(request.fixed, source.outline, tensor.name).has_value();
  };
  double weights = 0;
  std::uint64_t fixed_bytes = 0;
  std::vector<const ConversionTensor*> matrices;
  for (const ConversionTensor& tensor : source.tensors) {
    weights += static_cast<double>(tensor.cols() * tensor.rows());
    if (is_fixed(tensor)) {
      fixed_bytes += job_of(source, tensor, request.fixed).bytes();
    } else {
      matrices.push_back(&tensor);
    }
  }
  for (int joined = 1;; ++joined) {
    std::map<std::string, std::size_t> index;
    parts_.clear();
    for (const ConversionTensor* const tensor : matrices) {
      const auto [found, is_new] = index.emplace(part_of(tensor->name, joined), parts_.size());
      if (is_new) parts_.emplace_back();
      parts_[found->second].tensors.push_back(tensor);
    }
    if (parts_.size() <= kMostParts || joined >= source.outline.n_layers) break;
  }
  std::uint64_t least = fixed_bytes;
  for (MixPart& part : parts_) {
    add_options(part);
    least += std::ranges::min_element(part.options, {}, &MixOption::bytes)->bytes;
  }
  const double bytes = request.bits * weights / 8;
  if (bytes < static_cast<double>(least)) {
    throw std::invalid_argument(fmt::format(
        "--target-bits: expected at least {:.3f}, which the smallest of the formats have, found {}",
        std::ceil(8000 * static_cast<double>(least) / weights) / 1000, request.bits));
  }
  most_bytes_ = static_cast<std::uint64_t>(bytes) - fixed_bytes;
}

// Formats whose groups divide all rows; F16 where there are none.
void MixSearch::add_options(MixPart& part) const {
  const auto add = [&](FormatKind kind) {
    MixOption option{kind};
    for (const ConversionTensor* const tensor : part.tensors) {
      if (job_of(source_, *tensor, choice_of(*tensor, kind)).wanted) return;
      option.bytes += bytes_of(*tensor, kind);
    }
    part.options.push_back(option);
  };
  for (const FormatKind kind : request_.formats) add(kind);
  if (part.options.empty()) add(FormatKind::f16);
}

std::size_t MixSearch::measurements() const {
  std::size_t n = 0;
  for (const MixPart& part : parts_) n += part.options.size();
  return n;
}

void MixSearch::measure(const LossMeter& meter, int threads, const Progress& progress) {
  std::size_t measured = 0;
  for (MixPart& part : parts_) {
    for (MixOption& option : part.options) {
      progress(part.tensors.front()->name, measured++);
      option.loss = loss_of(part, option.kind, meter, threads);
    }
  }
}

double MixSearch::loss_of(const MixPart& part, FormatKind kind, const LossMeter& meter, int threads) const {
  std::vector<std::vector<std::byte>> data;
  std::vector<ReplacedTensor> replaced;
  {
    Team team(threads);  // goes before the engine's comes
    TensorQuantizer quantizer(source_, team);
    for (const ConversionTensor* const tensor : part.tensors) {
      TensorJob job = job_of(source_, *tensor, choice_of(*tensor, kind));
      if (!job.to) continue;  // it has the format
      if (request_.importance != nullptr) weigh(job, *request_.importance);
      std::vector<std::byte>& to = data.emplace_back();
      quantizer.quantize(
          job, [&](std::span<const std::byte> bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); },
          [](std::int64_t) {});
      replaced.push_back({tensor->name, kind, {}});
    }
  }
  for (std::size_t i = 0; i < data.size(); ++i) replaced[i].data = data[i];
  // A float, so that the last bits of a library's exp() choose nothing.
  return static_cast<float>(meter.divergence_with(replaced));
}

void MixSearch::choose() {
  std::vector<std::vector<MixOption>> options;
  for (const MixPart& part : parts_) options.push_back(part.options);
  const auto chosen = *choose_mix(options, most_bytes_);  // the constructor saw that there is one
  for (std::size_t i = 0; i < parts_.size(); ++i) parts_[i].chosen = chosen[i];
}

double MixSearch::predicted_loss() const {
  double sum = 0;
  for (const MixPart& part : parts_) sum += part.choice().loss;
  return sum;
}

// The file's type is the format of most bytes.
QuantizationChoices MixSearch::choices() const {
  QuantizationChoices choices = request_.fixed;
  std::map<FormatKind, std::uint64_t> bytes;
  for (const MixPart& part : parts_) {
    bytes[part.choice().kind] += part.choice().bytes;
    for (const ConversionTensor* const tensor : part.tensors)
      choices.by_name.emplace(tensor->name, part.choice().kind);
  }
  const auto most = std::ranges::max_element(bytes, {}, [](const auto& entry) { return entry.second; });
  choices.type = find_quantization_type(ggml_name(most == bytes.end() ? FormatKind::f32 : most->first));
  return choices;
}

}  // namespace llamajit
