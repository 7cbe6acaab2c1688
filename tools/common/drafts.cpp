#include "tools/common/drafts.h"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "runtime/base/numbers.h"
#include "runtime/draft/model_drafter.h"
#include "runtime/draft/ngram_drafter.h"
#include "runtime/draft/ngram_file.h"
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
         "--lookup")
      ->type_name("auto|off|N")
      ->group(kGroup);
  sub.add_option("--threads-draft,--threads_draft", options.threads,
                 "Threads of the smaller model; 0, and by default: one for a tiny model, else the model's")
      ->transform(whole_number(0, 1024))
      ->group(kGroup);
}

Drafts::Drafts(const DraftOptions& options, const EngineOptions& engine, const ModelAndTokenizer& model)
    : vocab_size_(model.model.config.vocab_size),
      looks_up_(options.lookup || options.ngrams || !options.model),
      budget_(options.tokens) {
  const Vocab& vocab = model.tokenizer->vocab();
  if (options.ngrams) other_ = read_ngrams(*options.ngrams, vocab);
  if (!options.model) return;
  const auto draft = open_model_and_tokenizer(named_or_bundled(*options.model), std::nullopt);
  refuse_encoder(draft.model);
  refuse_other_vocab(vocab, draft.tokenizer->vocab(), draft.model.path());
  engine_.emplace(draft.model,
                  options_of_draft(draft.model, options.threads, engine, model.model.config.seq_len));
  spdlog::info("{}: guesses with {}", draft.model.path(), counted(engine_->threads(), "thread"));
}

std::unique_ptr<Speculation> Drafts::begin_text() {
  std::unique_ptr<Drafter> ngrams, guesser;
  if (looks_up_) ngrams = std::make_unique<NgramDrafter>(other_);
  if (engine_) guesser = std::make_unique<ModelDrafter>(*engine_, vocab_size_);
  return std::make_unique<Speculation>(std::move(ngrams), std::move(guesser), budget_);
}

}  // namespace llamajit::cli
