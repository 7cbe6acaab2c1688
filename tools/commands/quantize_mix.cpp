#include "tools/commands/quantize_mix.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "jit/code/isa_choice.h"
#include "runtime/base/clock.h"
#include "runtime/base/numbers.h"
#include "runtime/files/gguf.h"
#include "tools/common/checks.h"
#include "tools/common/cli.h"
#include "tools/common/generation.h"
#include "tools/common/model_input.h"
#include "tools/common/progress_bar.h"
#include "tools/common/tune_cache.h"

namespace llamajit::cli {
namespace {

using jit::FormatKind;

// One of each size, those that lose least in it. Where rows are no whole blocks of 256, smaller blocks', too.
std::vector<FormatKind> default_formats(const ConversionSource& source) {
  std::vector<FormatKind> formats = {
      FormatKind::iq1_m,  FormatKind::iq2_xxs, FormatKind::iq2_s, FormatKind::iq3_xxs, FormatKind::iq3_s,
      FormatKind::iq4_xs, FormatKind::q4_k,    FormatKind::q5_k,  FormatKind::q6_k,    FormatKind::q8_0};
  const bool all_fit = std::ranges::all_of(source.tensors, [](const ConversionTensor& tensor) {
    return !is_quantized(tensor.name, static_cast<int>(tensor.dims.size())) || tensor.cols() % 256 == 0;
  });
  if (!all_fit) formats.insert(formats.end(), {FormatKind::q2_0, FormatKind::iq4_nl, FormatKind::q5_1});
  return formats;
}

std::string duration(double seconds) {
  constexpr double kMinute = 60, kHour = 3600;
  if (seconds < 2 * kMinute) return counted(std::lround(seconds) + 1, "second");
  if (seconds < 2 * kHour) return counted(std::lround(seconds / kMinute), "minute");
  return fmt::format("{:.1f} hours", seconds / kHour);
}

double bits_of(const MixPart& part) {
  double weights = 0;
  for (const ConversionTensor* const tensor : part.tensors)
    weights += static_cast<double>(tensor->rows() * tensor->cols());
  return 8 * static_cast<double>(part.choice().bytes) / weights;
}

// "blk.3.ffn_gate.weight and 1 more"
std::string name_of(const MixPart& part) {
  const std::string& first = part.tensors.front()->name;
  return part.tensors.size() == 1 ? first : fmt::format("{} and {} more", first, part.tensors.size() - 1);
}

}  // namespace

TextMix::TextMix(const ConversionSource& source, const MixOptions& options, const QuantizationChoices& fixed,
                 const NamedImportance* importance, int threads)
    : text_(*options.text) {
  if (!is_gguf(source.path())) {
    throw std::runtime_error(
        fmt::format("{}: expected a GGUF file, as --target-bits measures its tensors, found another: "
                    "quantize it to F32 first",
                    source.path()));
  }
  search_.emplace(
      source, MixRequest{*options.bits, options.formats.empty() ? default_formats(source) : options.formats,
                         fixed, importance});
  const auto opened = open_model_and_tokenizer(source.path(), std::nullopt);
  refuse_encoder(opened.model);
  const Tokenizer& tokenizer = *opened.tokenizer;
  const int context = std::min(options.context, opened.model.config.seq_len);
  if (context < 2) {
    throw std::runtime_error(
        fmt::format("{}: expected a context of 2 tokens or more, as a token is predicted by others, found {}",
                    source.path(), context));
  }
  std::vector<TokenId> tokens = tokenizer.encode(read_file(text_), {.eos = false, .normalize = true});
  if (tokens.size() < 2) {
    throw std::runtime_error(
        fmt::format("{}: expected a text of 2 tokens or more, found {}", text_, tokens.size()));
  }
  tokens.resize(
      std::min(tokens.size(), static_cast<std::size_t>(context) * static_cast<std::size_t>(options.chunks)));
  Windows windows{context, context};
  if (tokenizer.vocab().special().add_bos) windows.begin = tokenizer.vocab().special().bos;
  const jit::Isa isa = jit::choose_isa(std::nullopt).isa;
  const auto start = Clock::now();
  meter_.emplace(
      source.path(), std::move(tokens), windows,
      EngineOptions{
          .isa = isa, .threads = threads, .context = context, .tuning = remembered_tuning(isa, threads)});
  const std::size_t n = search_->measurements();
  const double seconds = seconds_since(start);
  spdlog::info("{} of {} in formats to choose from, {} of {} read for each: {} times, about {}",
               counted(search_->parts().size(), "part"), source.path(),
               counted(meter_->predictions(), "token"), text_, n, duration(seconds * static_cast<double>(n)));
  ProgressBar bar;
  search_->measure(*meter_, threads, [&](std::string_view tensor, std::size_t measured) {
    bar.show(fmt::format("{} ({} of {})", tensor, measured + 1, n),
             static_cast<double>(measured) / static_cast<double>(n));
  });
  search_->choose();
}

std::string TextMix::as_table() const {
  std::size_t width = 6;
  for (const MixPart& part : search_->parts()) width = std::max(width, name_of(part).size());
  std::string out =
      fmt::format("{:<{}} {:>8} {:>7} {:>14}\n", "chosen", width, "format", "bits", "KL divergence");
  for (const MixPart& part : search_->parts()) {
    out += fmt::format("{:<{}} {:>8} {:>7.4g} {:>14.6g}\n", name_of(part), width,
                       ggml_name(part.choice().kind), bits_of(part), part.choice().loss);
  }
  return out + '\n';
}

std::string TextMix::as_summary(const std::string& written) const {
  return fmt::format("KL divergence over {} of {}: {:.6g} measured, {:.6g} predicted\n",
                     counted(meter_->predictions(), "token"), text_, meter_->divergence_of(written),
                     search_->predicted_loss());
}

}  // namespace llamajit::cli
