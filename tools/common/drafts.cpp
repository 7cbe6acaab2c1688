#include "tools/common/drafts.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "runtime/base/numbers.h"
#include "runtime/draft/model_drafter.h"
#include "runtime/draft/mtp_drafter.h"
#include "runtime/draft/ngram_drafter.h"
#include "runtime/draft/ngram_file.h"
#include "runtime/files/model_reader.h"
#include "runtime/model/families.h"
#include "tools/common/bundled_models.h"
#include "tools/common/checks.h"

namespace llamajit::cli {
namespace {

// What lies in a core's own cache is read sooner by it alone than shared with another core.
constexpr std::size_t kForOneThread = std::size_t{16} << 20;  // bytes of weights

std::size_t weight_bytes(const ModelFile& file) {
  std::size_t bytes = 0;
  for (const Tensor* tensor : file.tensors()) bytes += tensor->bytes();
  return bytes;
}

// Its text is never longer than that of the model that it guesses for.
EngineOptions options_of_draft(const ModelFile& file, int threads, const EngineOptions& of_model,
                               int most_context) {
  if (threads == 0) threads = weight_bytes(file) < kForOneThread ? 1 : of_model.threads;
  const int context = std::min(of_model.context > 0 ? of_model.context : most_context, file.config.seq_len);
  return {
      .isa = of_model.isa, .threads = threads, .context = context, .sequences = 2 * of_model.sequences + 1};
}

// With what it has of the model, as the classifier is read for each guess.
EngineOptions options_of_layer(const ModelFile& layer, int threads, const EngineOptions& of_model,
                               const Engine& model) {
  const auto classifier = static_cast<std::size_t>(model.weights().classifier.bytes());
  if (threads == 0) threads = weight_bytes(layer) + classifier < kForOneThread ? 1 : model.threads();
  return {.isa = of_model.isa,
          .threads = threads,
          .context = model.context(),
          .precision = of_model.precision,
          .sequences = of_model.sequences + 1,
          .model = &model};
}

[[noreturn]] void refuse_to_draft(const ModelFile& model, const Engine& engine) {
  if (engine.peers() != nullptr) throw std::runtime_error("--mtp: expected one process, found ranks");
  std::vector<std::string_view> names;
  for (const Family& family : families()) {
    if (family.drafts) names.push_back(family.name);
  }
  throw std::runtime_error(
      fmt::format("{}: nextn_predict_layers: expected a layer that drafts for the model, as files of the "
                  "families {} may have, found none",
                  model.path(), fmt::join(names, ", ")));
}

std::optional<int> tokens_of(const std::string& text) {
  if (text == "auto") return std::nullopt;
  if (text == "off") return 0;
  std::string number = text;
  if (!whole_number(0, DraftBudget::kMostRows - 1)(number).empty()) {
    throw CLI::ValidationError(
        fmt::format("--draft: expected auto, off or a whole number up to {}, found '{}'",
                    DraftBudget::kMostRows - 1, text));
  }
  return std::stoi(number);
}

}  // namespace

void add_drafts(CLI::App& sub, DraftOptions& options) {
  constexpr const char* kGroup = "Drafts";
  sub.add_option("--model-draft,--model_draft", options.model,
                 "A smaller model with the same vocabulary guesses tokens, of which the model computes "
                 "several at once; "
                 "the text is the same without it")
      ->type_name("MODEL")
      ->group(kGroup);
  sub.add_flag(
         "--mtp", options.mtp,
         "A layer that the model's file brings for it (multi-token prediction) guesses; the text is the "
         "same without it")
      ->group(kGroup)
      ->excludes("--model-draft");
  sub.add_flag(
         "--lookup", options.lookup,
         "Guess what came before in prompt and text behind the same tokens; the text is the same without it")
      ->group(kGroup);
  sub.add_option("--ngrams", options.ngrams, "Likewise in another text: a file that `llamajit ngrams` wrote")
      ->type_name("FILE")
      ->group(kGroup);
  sub.add_option_function<std::string>(
         "--draft",
         [&options](const std::string& text) {
           options.tokens = tokens_of(text);
           options.asked = true;
         },
         "Tokens of a draft; auto, and by default: as many as pay, as measured. Without any of the others: "
         "--lookup, and --mtp where the model brings such a layer")
      ->type_name("auto|off|N")
      ->group(kGroup);
  sub.add_option("--threads-draft,--threads_draft", options.threads,
                 "Threads of the smaller model or the layer; 0, and by default: one for a tiny model, else "
                 "the model's")
      ->transform(whole_number(0, 1024))
      ->group(kGroup);
}

Drafts::Drafts(const DraftOptions& options, const EngineOptions& of_engine, const Engine& engine,
               const ModelAndTokenizer& model)
    : vocab_size_(model.model.config.vocab_size),
      looks_up_(options.lookup || options.ngrams || !(options.model || options.mtp)),
      budget_(options.tokens) {
  if (options.ngrams) other_ = read_ngrams(*options.ngrams, model.tokenizer->vocab());
  if (options.model) {
    load_model(options, of_engine, model);
  } else if (options.mtp || !(options.lookup || options.ngrams)) {
    load_layer(options, of_engine, engine, model.model);
  }
}

void Drafts::load_model(const DraftOptions& options, const EngineOptions& of_engine,
                        const ModelAndTokenizer& model) {
  const auto draft = open_model_and_tokenizer(named_or_bundled(*options.model), std::nullopt);
  refuse_encoder(draft.model);
  refuse_other_vocab(model.tokenizer->vocab(), draft.tokenizer->vocab(), draft.model.path());
  engine_.emplace(draft.model,
                  options_of_draft(draft.model, options.threads, of_engine, model.model.config.seq_len));
  spdlog::info("{}: guesses with {}", draft.model.path(), counted(engine_->threads(), "thread"));
}

void Drafts::load_layer(const DraftOptions& options, const EngineOptions& of_engine, const Engine& engine,
                        const ModelFile& model) {
  std::optional<ModelFile> layer;
  try {
    if (engine.peers() == nullptr) layer = read_drafting_layer(model.path());
  } catch (const std::runtime_error& error) {
    if (options.mtp) throw;  // else the model runs as well without it
    return spdlog::warn("{}: the layer that drafts is left out", error.what());
  }
  if (!layer && options.mtp) refuse_to_draft(model, engine);
  if (!layer) return spdlog::debug("{}: brings no layer that drafts, or none that is known", model.path());
  engine_.emplace(*layer, options_of_layer(*layer, options.threads, of_engine, engine));
  spdlog::info("{}: the model's own layer guesses with {}", model.path(),
               counted(engine_->threads(), "thread"));
}

std::unique_ptr<Speculation> Drafts::begin_text() {
  std::unique_ptr<Drafter> ngrams, guesser;
  if (looks_up_) ngrams = std::make_unique<NgramDrafter>(other_);
  if (engine_ && engine_->config().takes_hidden) {
    guesser = std::make_unique<MtpDrafter>(*engine_);
  } else if (engine_) {
    guesser = std::make_unique<ModelDrafter>(*engine_, vocab_size_);
  }
  return std::make_unique<Speculation>(std::move(ngrams), std::move(guesser), budget_);
}

}  // namespace llamajit::cli
