// llamajit perplexity: how well a model predicts a text.
#include "runtime/measure/perplexity.h"

#include <cmath>
#include <memory>

#include <fmt/format.h>

#include "jit/code/isa_choice.h"
#include "runtime/base/file_replacement.h"
#include "runtime/measure/saved_logits.h"
#include "tools/common/bundled_models.h"
#include "tools/common/checks.h"
#include "tools/common/cli.h"
#include "tools/common/generation.h"
#include "tools/common/model_input.h"
#include "tools/common/progress_bar.h"
#include "tools/common/ranks.h"
#include "tools/common/sandboxed.h"
#include "tools/common/tune_cache.h"

namespace llamajit::cli {
namespace {

struct PerplexityOptions {
  std::string model;
  std::string text;
  std::optional<std::string> tokenizer;
  bool normalize = true;
  int context = 512;
  std::optional<int> stride;
  std::optional<std::string> save_logits;
  std::optional<std::string> kl_base;
  int threads = 1;
  std::optional<std::string> isa;
  Precision precision;
  bool sandbox = true;
};

Windows windows_of(const PerplexityOptions& options, const ModelFile& model, const Vocab& vocab) {
  Windows windows{};
  windows.context = std::min(options.context, model.config.seq_len);
  windows.stride = options.stride.value_or(std::max(1, windows.context / 2));
  if (windows.context < 2) throw std::runtime_error("--ctx: expected 2 tokens or more");
  if (windows.stride > windows.context) {
    throw std::invalid_argument(fmt::format("--stride: expected at most {} (the context), found {}",
                                            windows.context, windows.stride));
  }
  if (vocab.special().add_bos) windows.begin = vocab.special().bos;
  return windows;
}

// Every prediction is measured in these ways.
struct Measures {
  Mean loss;  // -log p of the token that came
  Mean kl;
  Mean same;  // 1 where both models' most likely token is the same
};

Measures measure(Engine& engine, const std::vector<TokenId>& tokens, const Windows& windows,
                 const PerplexityOptions& options) {
  std::optional<FileReplacement> file;
  std::optional<LogitsWriter> writer;
  std::optional<SavedLogits> base;
  const int vocab_size = engine.config().vocab_size;
  if (options.save_logits) {
    file.emplace(*options.save_logits);
    writer.emplace([&](std::span<const std::byte> bytes) { file->write(bytes); }, vocab_size, windows,
                   tokens);
  }
  if (options.kl_base) base.emplace(*options.kl_base, vocab_size, windows, tokens);
  if (can_be_sandboxed(options.sandbox, {})) {
    sandbox::Needs needs;
    if (options.save_logits) needs.folders.push_back(folder_of(*options.save_logits));
    enter_sandbox(needs);
  }
  Measures measures;
  constexpr std::int64_t kShownEvery = 64;
  ProgressBar bar;
  predict(engine, tokens, windows, [&](TokenId target, std::span<const float> logits) {
    measures.loss.add(-log_probability(logits, target));
    if (measures.loss.count() % kShownEvery == 0) {
      bar.show(fmt::format("perplexity {:.4g}", std::exp(measures.loss.value())),
               static_cast<double>(measures.loss.count()) / static_cast<double>(tokens.size() - 1));
    }
    if (writer) writer->add(logits);
    if (!base) return;
    const std::span<const float> saved = base->next();
    measures.kl.add(divergence(saved, logits));
    const auto top = [](std::span<const float> x) { return std::ranges::max_element(x) - x.begin(); };
    measures.same.add(top(saved) == top(logits) ? 1 : 0);
  });
  if (base) base->check_intact();
  if (file) file->commit();
  return measures;
}

int perplexity(const PerplexityOptions& options) {
  const auto opened = open_model_and_tokenizer(options.model, options.tokenizer);
  const ModelFile& model = opened.model;
  refuse_encoder(model);
  if (options.save_logits) {
    std::vector<std::string> read = files_of(model, options.tokenizer);
    read.push_back(options.text);
    refuse_replacing(*options.save_logits, read);
  }
  const Tokenizer& tokenizer = *opened.tokenizer;
  const Windows windows = windows_of(options, model, tokenizer.vocab());
  const std::vector<TokenId> tokens =
      tokenizer.encode(read_file(options.text), {.eos = false, .normalize = options.normalize});
  if (tokens.size() < 2) {
    throw std::runtime_error(
        fmt::format("{}: expected a text of 2 tokens or more, found {}", options.text, tokens.size()));
  }
  const jit::Isa isa = jit::choose_isa(options.isa).isa;
  warn_of_crowding(options.threads);
  const EngineOptions for_engine{.isa = isa,
                                 .threads = options.threads,
                                 .context = windows.context,
                                 .precision = options.precision,
                                 .tuning = remembered_tuning(isa, options.threads)};
  Engine engine(model, on_ranks(for_engine, model));
  const Measures m = measure(engine, tokens, windows, options);
  const double value = std::exp(m.loss.value());
  std::string out =
      fmt::format("perplexity {:.6g} ± {:.3g} ({} predictions, windows of {}, stride {})\n", value,
                  value * m.loss.error(), m.loss.count(), windows.context, windows.stride);
  if (options.kl_base) {
    out += fmt::format("mean KL divergence {:.6g} ± {:.3g}\nsame most likely token {:.3f} % ± {:.3f} %\n",
                       m.kl.value(), m.kl.error(), 100 * m.same.value(), 100 * m.same.error());
  }
  write_out(out);
  return kOk;
}

}  // namespace

void add_perplexity(CLI::App& app, Command& command) {
  auto o = std::make_shared<PerplexityOptions>();
  CLI::App* sub = app.add_subcommand("perplexity", "Measure how well a model predicts a text");
  add_model(*sub, o->model, kModelText);
  sub->add_option("-f,--file", o->text, "The text")->type_name("FILE")->required();
  sub->add_option("-z,--tokenizer", o->tokenizer, "tokenizer.bin; default: as for run")->type_name("FILE");
  sub->add_option("-c,--ctx,--ctx-size", o->context, "Tokens of a window; at most the model's context")
      ->transform(whole_number(2, 1 << 24))
      ->capture_default_str();
  sub->add_option("--stride", o->stride,
                  "Tokens from a window's begin to the next one's; default: half a window")
      ->transform(whole_number(1, 1 << 24));
  auto* save = sub->add_option("--save-logits", o->save_logits, "Write all logits to this file");
  save->type_name("FILE");
  sub->add_option("--kl-base", o->kl_base,
                  "Compare with the logits in this file, which --save-logits wrote for another model and the "
                  "same text")
      ->type_name("FILE")
      ->excludes(save);
  add_threads(*sub, o->threads);
  add_isa(*sub, o->isa, "Instruction tier; default: the fastest of this CPU");
  add_no_normalize(*sub, o->normalize);
  add_precision(*sub, o->precision);
  add_sandbox(*sub, o->sandbox);
  sub->callback([o, &command] {
    command = [o] {
      o->model = named_or_bundled(o->model);
      return perplexity(*o);
    };
  });
}

}  // namespace llamajit::cli
