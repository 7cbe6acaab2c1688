// llamajit quantize: a model's matrices in another format. llamajit convert: in the one that loses least.
#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "runtime/base/file_replacement.h"
#include "runtime/base/numbers.h"
#include "runtime/convert/quantization.h"
#include "runtime/files/ggml_legacy.h"
#include "tools/commands/quantize_mix.h"
#include "tools/common/bundled_models.h"
#include "tools/common/checks.h"
#include "tools/common/cli.h"
#include "tools/common/model_input.h"
#include "tools/common/progress_bar.h"
#include "tools/usage/suggestion.h"

namespace llamajit::cli {
namespace {

struct QuantizeOptions {
  std::string in;
  std::string out;
  std::optional<std::string> type;
  MixOptions mix;
  std::optional<std::string> mix_formats;  // in the place of a type
  std::optional<std::string> tokenizer_bin;
  std::optional<std::string> output_type;
  std::optional<std::string> embedding_type;
  std::optional<std::string> imatrix;
  bool pure = false;
  int threads = 1;
};

// Of "F32, F16".
std::vector<std::string> split_names(std::string_view names) {
  std::vector<std::string> all;
  while (!names.empty()) {
    const std::size_t end = std::min(names.find(", "), names.size());
    all.emplace_back(names.substr(0, end));
    names.remove_prefix(std::min(end + 2, names.size()));
  }
  return all;
}

std::optional<jit::FormatKind> format_option(const char* option, const std::optional<std::string>& name) {
  if (!name) return std::nullopt;
  const auto format = find_format(*name);
  if (!format) {
    throw std::invalid_argument(fmt::format("{}: expected one of {}, found '{}'{}", option, format_names(),
                                            *name, did_you_mean(*name, split_names(format_names()))));
  }
  return format;
}

// "Q4_K,Q6_K"
std::vector<jit::FormatKind> formats_option(const std::optional<std::string>& names) {
  std::vector<jit::FormatKind> formats;
  for (std::size_t first = 0; names && first <= names->size();) {
    const std::size_t end = std::min(names->find(',', first), names->size());
    const jit::FormatKind kind = *format_option("--formats", names->substr(first, end - first));
    if (std::ranges::count(formats, kind) == 0) formats.push_back(kind);
    first = end + 1;
  }
  return formats;
}

QuantizationChoices quantization_choices(const QuantizeOptions& options) {
  QuantizationChoices choices;
  if (!options.type && !options.mix.bits) {
    throw std::invalid_argument("TYPE: expected a type, or --target-bits with a number, found neither");
  }
  if (options.type) choices.type = find_quantization_type(*options.type);
  if (options.type && choices.type == nullptr) {
    throw std::invalid_argument(
        fmt::format("TYPE: expected one of {}, found '{}'{}", quantization_type_names(), *options.type,
                    did_you_mean(*options.type, split_names(quantization_type_names()))));
  }
  choices.pure = options.pure;
  choices.output = format_option("--output-type", options.output_type);
  choices.embedding = format_option("--embedding-type", options.embedding_type);
  return choices;
}

double mib(std::uint64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

// Of a tensor that is quantised: whether by importances, or for how many of the experts' matrices.
std::string weighed(const QuantizedTensor& t) {
  if (!t.weighed) return "";
  if (*t.weighed == 0 || *t.weighed == t.matrices) return *t.weighed == 0 ? "no" : "yes";
  return fmt::format("{} of {}", *t.weighed, t.matrices);
}

std::string as_table(const Quantization& quantization) {
  std::size_t width = 6;
  for (const QuantizedTensor& t : quantization.tensors) width = std::max(width, t.name.size());
  const bool has_importance = std::ranges::any_of(
      quantization.tensors, [](const QuantizedTensor& t) { return t.weighed.has_value(); });
  std::string out = fmt::format("{:<{}} {:>16} {:>8} {:>7} {:>12} {:>12} {:>10}{}\n", "tensor", width,
                                "shape", "from", "to", "bytes", "RMS error", "relative",
                                has_importance ? fmt::format(" {:>10}", "imatrix") : "");
  std::uint64_t before = 0, after = 0;
  double weights = 0;
  for (const QuantizedTensor& t : quantization.tensors) {
    const std::string shape = fmt::format("({})", fmt::join(t.dims.rbegin(), t.dims.rend(), ", "));
    out += fmt::format("{:<{}} {:>16} {:>8} {:>7} {:>12} {:>12.6g} {:>10.6f}", t.name, width, shape, t.from,
                       t.to, t.bytes, t.rms_error, t.relative_error);
    if (const std::string how = weighed(t); !how.empty()) out += fmt::format(" {:>10}", how);
    if (!t.wanted.empty())
      out += fmt::format("  (not {}: rows of {} are no whole blocks)", t.wanted, t.dims.front());
    out += '\n';
    before += t.bytes_before;
    after += t.bytes;
    double count = 1;
    for (const std::int64_t dim : t.dims) count *= static_cast<double>(dim);
    weights += count;
  }
  out += fmt::format("{:.2f} MiB of tensors became {:.2f} MiB, {:.3f} bits a weight; the file has {} bytes\n",
                     mib(before), mib(after), 8 * static_cast<double>(after) / std::max(weights, 1.0),
                     quantization.file_bytes);
  return out;
}

Quantization quantize_with_bar(const ConversionSource& source, const std::string& out,
                               const QuantizationChoices& choices, int threads,
                               const NamedImportance* importance = nullptr) {
  ProgressBar bar;
  return quantize_model(
      source, out, choices, threads, [&](std::string_view tensor, double part) { bar.show(tensor, part); },
      importance);
}

// The embedding and the classifier have none unless somebody asked for them.
void warn_of_unweighed(const Quantization& done, const std::string& imatrix) {
  std::vector<std::string_view> without, partly;
  for (const QuantizedTensor& t : done.tensors) {
    if (!t.weighed || t.name == "token_embd.weight" || t.name == "output.weight") continue;
    if (*t.weighed < t.matrices) (*t.weighed == 0 ? without : partly).push_back(t.name);
  }
  if (!without.empty()) {
    spdlog::warn(
        "{}: expected importances of each matrix, found none of {}, for whose weights all errors count "
        "alike: {}",
        imatrix, counted(without.size(), "tensor"), fmt::join(without, ", "));
  }
  if (!partly.empty()) {
    spdlog::warn(
        "{}: experts that the text never reached have no importances, and all errors count alike in: {}",
        imatrix, fmt::join(partly, ", "));
  }
}

int quantize(QuantizeOptions& options) {
  QuantizationChoices choices = quantization_choices(options);
  options.mix.formats = formats_option(options.mix_formats);
  options.in = named_or_bundled(options.in);
  const std::optional<std::string> tokenizer = tokenizer_for(options.in, options.tokenizer_bin);
  for (const auto& read : {tokenizer, options.imatrix, options.mix.text}) {
    if (read) refuse_replacing(options.out, {{*read}});
  }
  const ConversionSource source = open_conversion_source(options.in, tokenizer);
  if (!source.has_tokenizer) {
    spdlog::warn(
        "{}: found no tokenizer for it, and {} will have none: name one with -z, here or when it runs",
        options.in, options.out);
  }
  if (choices.type != nullptr && wants_importance(*choices.type) && !options.imatrix) {
    spdlog::warn(
        "{}: a type of so few bits loses much without an importance matrix: llamajit imatrix makes one for "
        "--imatrix",
        choices.type->name);
  }
  std::optional<NamedImportance> importance;
  if (options.imatrix) importance = {*options.imatrix, read_importance_matrix(*options.imatrix)};
  const NamedImportance* const by = importance ? &*importance : nullptr;
  std::optional<TextMix> mix;
  if (options.mix.bits) {
    check_before_quantizing(source, options.out, by);
    mix.emplace(source, options.mix, choices, by, options.threads);
    choices = mix->choices();
  }
  const Quantization done = quantize_with_bar(source, options.out, choices, options.threads, by);
  write_out((mix ? mix->as_table() : "") + as_table(done) + (mix ? mix->as_summary(options.out) : ""));
  if (importance) warn_of_unweighed(done, *options.imatrix);
  return kOk;
}

struct ConvertOptions {
  std::string in;
  std::string out;
  std::optional<std::string> tokenizer_bin;
  int threads = 1;
};

std::string exactness(const Quantization& quantization) {
  const auto inexact =
      std::ranges::count_if(quantization.tensors, [](const QuantizedTensor& t) { return t.rms_error > 0; });
  if (inexact == 0) return "all weights are exactly those of the model\n";
  double most = 0;
  for (const QuantizedTensor& t : quantization.tensors) most = std::max(most, t.relative_error);
  return fmt::format(
      "{} of {} tensors are not exactly those of the model: their codes are, but GGUF's scales have 16 bits; "
      "RMS error at most {:.3g} of the weights' RMS\n",
      inexact, quantization.tensors.size(), most);
}

int convert(ConvertOptions& options) {
  options.in = named_or_bundled(options.in);
  if (is_gguf(options.in)) {
    throw std::runtime_error(fmt::format(
        "{}: expected a llama2.c checkpoint or a legacy ggml file, found a GGUF file", options.in));
  }
  const std::optional<std::string> tokenizer = tokenizer_for(options.in, options.tokenizer_bin);
  if (tokenizer) refuse_replacing(options.out, {{*tokenizer}});
  const ConversionSource source = open_conversion_source(options.in, tokenizer);
  if (!source.has_tokenizer) tokenizer_beside(options.in);  // throws
  QuantizationChoices choices;
  choices.type = find_quantization_type(source.own_type);
  choices.pure = true;
  const Quantization done = quantize_with_bar(source, options.out, choices, options.threads);
  write_out(as_table(done) + exactness(done));
  return kOk;
}

void add_mix_options(CLI::App& sub, QuantizeOptions& o, CLI::Option* type) {
  auto* bits = sub.add_option(
      "--target-bits", o.mix.bits,
      "In the place of TYPE: a mix with so many bits a weight at most, all of the file's tensors "
      "together, of the formats that lose least over --kl-text");
  bits->transform(number_above_0(32))->excludes(type);
  auto* text = sub.add_option("--kl-text", o.mix.text,
                              "The text over which each matrix's KL divergence is measured in each format");
  text->type_name("FILE")->needs(bits);
  bits->needs(text);
  sub.add_option("--formats", o.mix_formats,
                 "The formats to choose from, parted by commas; default: some from IQ1_M to Q8_0")
      ->type_name("LIST")
      ->needs(bits);
  sub.add_option("-c,--ctx,--ctx-size", o.mix.context,
                 "Tokens of a chunk of the text; at most the model's context")
      ->transform(whole_number(2, 1 << 24))
      ->capture_default_str()
      ->needs(bits);
  sub.add_option("--chunks", o.mix.chunks, "So many chunks of the text at most")
      ->transform(whole_number(1, 1 << 24))
      ->capture_default_str()
      ->needs(bits);
}

}  // namespace

void add_quantize(CLI::App& app, Command& command) {
  auto o = std::make_shared<QuantizeOptions>();
  CLI::App* sub =
      app.add_subcommand("quantize", "Write a model as a GGUF file with its matrices in another format");
  sub->add_option("IN", o->in, "A GGUF or legacy ggml file in F32, F16 or BF16, or a llama2.c checkpoint")
      ->type_name("MODEL")
      ->required();
  sub->add_option("OUT", o->out, "The GGUF file to write")->type_name("FILE")->required();
  const auto choices = [](const std::string& names) {
    return fmt::format("{}", fmt::join(split_names(names), "|"));
  };
  auto* type = sub->add_option("TYPE", o->type, "One of " + quantization_type_names());
  type->type_name(choices(quantization_type_names()));
  sub->add_option(
         "-z,--tokenizer", o->tokenizer_bin,
         "The tokenizer.bin to put in, for a llama2.c checkpoint or a legacy ggml file; default: the one "
         "beside a checkpoint, a legacy ggml file's own vocabulary")
      ->type_name("FILE");
  sub->add_option("--output-type,--keep-output", o->output_type,
                  "Format of the classifier, output.weight or a shared embedding")
      ->type_name("TYPE");
  sub->add_option("--embedding-type,--keep-embedding", o->embedding_type, "Format of token_embd.weight")
      ->type_name("TYPE");
  sub->add_option("--imatrix", o->imatrix,
                  "An importance matrix: how much each column's errors count; llamajit imatrix makes one")
      ->type_name("FILE");
  sub->add_flag("--pure", o->pure, "The type's format for all matrices, no mix")->needs(type);
  add_mix_options(*sub, *o, type);
  add_threads(*sub, o->threads);
  sub->callback([o, &command] { command = [o] { return quantize(*o); }; });
}

void add_convert(CLI::App& app, Command& command) {
  auto o = std::make_shared<ConvertOptions>();
  CLI::App* sub = app.add_subcommand("convert", "Write a model with its tokenizer as a GGUF file");
  sub->add_option("IN", o->in, "A llama2.c checkpoint, or a legacy ggml file")->type_name("FILE")->required();
  sub->add_option("OUT", o->out, "The GGUF file to write")->type_name("FILE")->required();
  sub->add_option("-z,--tokenizer", o->tokenizer_bin,
                  "tokenizer.bin; default: the one beside a checkpoint, a legacy ggml file's own vocabulary")
      ->type_name("FILE");
  add_threads(*sub, o->threads);
  sub->callback([o, &command] { command = [o] { return convert(*o); }; });
}

}  // namespace llamajit::cli
