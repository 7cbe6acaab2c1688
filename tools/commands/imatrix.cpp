// llamajit imatrix: how large the inputs of a model's matrices are over a text, which quantize takes.
#include <algorithm>
#include <memory>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "jit/code/isa_choice.h"
#include "runtime/base/file_replacement.h"
#include "runtime/base/numbers.h"
#include "runtime/files/importance_matrix.h"
#include "runtime/measure/input_squares.h"
#include "tools/common/bundled_models.h"
#include "tools/common/checks.h"
#include "tools/common/cli.h"
#include "tools/common/generation.h"
#include "tools/common/model_input.h"
#include "tools/common/progress_bar.h"
#include "tools/common/tune_cache.h"

namespace llamajit::cli {
namespace {

struct ImatrixOptions {
  std::string model;
  std::optional<std::string> text;
  std::string out = "imatrix.gguf";
  std::optional<std::string> tokenizer;
  bool normalize = true;
  int context = 512;
  std::optional<int> chunks;
  bool output = false;
  std::vector<std::string> in_files;
  std::optional<std::string> form;
  int threads = 1;
  std::optional<std::string> isa;
  Precision precision;
};

ImportanceForm form_of(const ImatrixOptions& options) {
  const bool is_dat = options.form ? *options.form == "dat" : options.out.ends_with(".dat");
  return is_dat ? ImportanceForm::dat : ImportanceForm::gguf;
}

// As llama.cpp cuts a text: chunks of a whole context that begin with the begin token, in the place of what stands
// there; what is left over is left out, unless there is nothing else.
std::vector<std::vector<TokenId>> chunks_of(const std::vector<TokenId>& tokens, std::size_t size,
                                            std::size_t most, const Vocab& vocab) {
  std::vector<std::vector<TokenId>> chunks;
  const std::size_t n = std::clamp<std::size_t>(tokens.size() / size, 1, most);
  for (std::size_t first = 0; chunks.size() < n; first += size) {
    const auto chunk = std::span(tokens).subspan(first, std::min(size, tokens.size() - first));
    chunks.emplace_back(chunk.begin(), chunk.end());
    if (vocab.special().add_bos) chunks.back().front() = vocab.special().bos;
  }
  return chunks;
}

ImportanceMatrix::Entry entry_of(const InputSquares& of) {
  return {{of.sums.begin(), of.sums.end()}, of.counts};
}

// What the text gives.
ImportanceMatrix measure(const ImatrixOptions& options) {
  const auto opened = open_model_and_tokenizer(options.model, options.tokenizer);
  const ModelFile& model = opened.model;
  refuse_encoder(model);
  refuse_replacing(options.out, files_of(model, options.tokenizer));
  const Tokenizer& tokenizer = *opened.tokenizer;
  const int context = std::min(options.context, model.config.seq_len);
  const std::vector<TokenId> tokens =
      tokenizer.encode(read_file(*options.text), {.eos = false, .normalize = options.normalize});
  if (tokens.size() < 2) {
    throw std::runtime_error(
        fmt::format("{}: expected a text of 2 tokens or more, found {}", *options.text, tokens.size()));
  }
  const auto chunks = chunks_of(tokens, static_cast<std::size_t>(context),
                                options.chunks ? static_cast<std::size_t>(*options.chunks) : tokens.size(),
                                tokenizer.vocab());
  const jit::Isa isa = jit::choose_isa(options.isa).isa;
  warn_of_crowding(options.threads);
  Engine engine(model, {.isa = isa,
                        .threads = options.threads,
                        .context = context,
                        .precision = options.precision,
                        .tuning = remembered_tuning(isa, options.threads)});
  InputCollector collector(engine, model, options.output);
  ProgressBar bar;
  ImportanceMatrix matrix;
  for (const std::vector<TokenId>& chunk : chunks) {
    bar.show(fmt::format("chunk {} of {}", matrix.chunks + 1, chunks.size()),
             static_cast<double>(matrix.chunks) / static_cast<double>(chunks.size()));
    collector.feed(chunk);
    ++matrix.chunks;
  }
  for (const InputSquares& of : collector.result()) matrix.entries.emplace(of.name, entry_of(of));
  matrix.chunk_size = context;
  matrix.datasets.push_back(*options.text);
  return matrix;
}

void warn_of_unreached(const ImportanceMatrix& matrix) {
  std::vector<std::string> partly;
  for (const auto& [name, entry] : matrix.entries) {
    const auto none = std::ranges::count(entry.counts, 0);
    if (none > 0) partly.push_back(fmt::format("{} ({} of {})", name, none, entry.counts.size()));
  }
  if (partly.empty()) return;
  spdlog::warn("experts that the text never reached have no importances: {}", fmt::join(partly, ", "));
}

int imatrix(const ImatrixOptions& options) {
  if (!options.text && options.in_files.empty()) {
    throw std::invalid_argument(
        "--file: expected a text, or --in-file with what there is already, found neither");
  }
  refuse_replacing(options.out, {{options.model, options.text.value_or(options.model)}});
  // Whatever can be wrong with files is known before the work.
  ImportanceMatrix matrix;
  matrix.chunk_size = options.context;
  for (const std::string& file : options.in_files) matrix.add(read_importance_matrix(file), file);
  if (options.text) {
    const ImportanceMatrix measured = measure(options);
    matrix.chunk_size = measured.chunk_size;
    matrix.add(measured, options.model);
  }
  write_importance_matrix(matrix, options.out, form_of(options));
  warn_of_unreached(matrix);
  write_out(fmt::format("{}: {} of {}\n", options.out, counted(matrix.entries.size(), "tensor"),
                        counted(matrix.chunks, "chunk")));
  return kOk;
}

}  // namespace

void add_imatrix(CLI::App& app, Command& command) {
  auto o = std::make_shared<ImatrixOptions>();
  CLI::App* sub = app.add_subcommand(
      "imatrix", "Measure over a text which columns' errors count, for quantize --imatrix");
  add_model(*sub, o->model, kModelText);
  sub->add_option("-f,--file,--text", o->text, "The text")->type_name("FILE");
  sub->add_option("-o,--output,--output-file", o->out, "The file to write")
      ->type_name("FILE")
      ->capture_default_str();
  auto* form = sub->add_option(
      "--output-format", o->form,
      "GGUF, or llama.cpp's older form; default: dat where the file's name ends so, else gguf");
  choose_from(*form, {"gguf", "dat"});
  sub->add_option(
         "--in-file", o->in_files,
         "An importance matrix to add to, of any form; may be given more than once, and without a text")
      ->type_name("FILE")
      ->allow_extra_args(false);
  sub->add_option("-z,--tokenizer", o->tokenizer, "tokenizer.bin; default: as for run")->type_name("FILE");
  sub->add_option("-c,--ctx,--ctx-size", o->context, "Tokens of a chunk; at most the model's context")
      ->transform(whole_number(2, 1 << 24))
      ->capture_default_str();
  sub->add_option("--chunks", o->chunks, "At most so many chunks; default: the whole text")
      ->transform(whole_number(1, 1 << 24));
  sub->add_flag("--process-output", o->output, "The classifier's inputs, too");
  add_threads(*sub, o->threads);
  add_isa(*sub, o->isa, "Instruction tier; default: the fastest of this CPU");
  add_no_normalize(*sub, o->normalize);
  add_precision(*sub, o->precision);
  sub->callback([o, &command] {
    command = [o] {
      o->model = named_or_bundled(o->model);
      return imatrix(*o);
    };
  });
}

}  // namespace llamajit::cli
