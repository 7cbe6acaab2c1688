// llamajit embed: vectors of texts.
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "jit/code/isa_choice.h"
#include "runtime/generate/embedding.h"
#include "tools/common/bundled_models.h"
#include "tools/common/checks.h"
#include "tools/common/cli.h"
#include "tools/common/generation.h"
#include "tools/common/model_input.h"
#include "tools/common/tune_cache.h"

namespace llamajit::cli {
namespace {

struct EmbedOptions {
  std::string model;
  std::vector<std::string> texts;
  std::optional<std::string> file;
  std::optional<std::string> tokenizer;
  std::optional<Pooling> pooling;
  bool normalizes = true;
  int threads = 1;
  std::optional<std::string> isa;
  Precision precision;
};

// A text in each line, which may end as DOS has it.
std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    if (end < text.size() && lines.back().ends_with('\r')) lines.back().pop_back();
    begin = end + 1;
  }
  return lines;
}

std::vector<std::string> texts_of(const EmbedOptions& options) {
  if (!options.texts.empty()) return options.texts;
  return lines_of(options.file ? read_file(*options.file) : read_standard_input());
}

std::vector<float> embed_text(Engine& engine, const std::vector<TokenId>& tokens, Pooling pooling) {
  Pooler pooler(pooling, engine.config().dim);
  engine.sequence().cut(0);
  Batch batch;
  batch.add_hidden(engine.sequence(), tokens, pooler.first_wanted(0, tokens.size(), tokens.size()));
  engine.step(batch, [&](std::size_t, const RowOutput& output) { pooler.add(output.hidden); });
  return pooler.vector();
}

int embed(const EmbedOptions& options) {
  const auto opened = open_model_and_tokenizer(options.model, options.tokenizer);
  const std::vector<std::string> texts = texts_of(options);
  const jit::Isa isa = jit::choose_isa(options.isa).isa;
  warn_of_crowding(options.threads);
  Engine engine(opened.model, {.isa = isa,
                               .threads = options.threads,
                               .precision = options.precision,
                               .tuning = remembered_tuning(isa, options.threads)});
  const Pooling pooling = options.pooling.value_or(opened.model.config.pooling.value_or(Pooling::mean));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::vector<TokenId> tokens = opened.tokenizer->encode(texts[i], {});
    if (tokens.empty() || tokens.size() > static_cast<std::size_t>(engine.context())) {
      throw std::runtime_error(fmt::format("text {}: expected 1 to {} tokens (the context), found {}", i + 1,
                                           engine.context(), tokens.size()));
    }
    std::vector<float> vector = embed_text(engine, tokens, pooling);
    if (options.normalizes) normalize(vector);
    write_out(fmt::format("[{}]\n", fmt::join(vector, ",")));
  }
  return kOk;
}

}  // namespace

void add_embed(CLI::App& app, Command& command) {
  auto o = std::make_shared<EmbedOptions>();
  CLI::App* sub =
      app.add_subcommand("embed", "Make vectors of texts, of which those that say alike lie close");
  add_model(*sub, o->model, kModelText);
  auto* text = sub->add_option("-p,--prompt", o->texts,
                               "A text; may be given more than once. A line of JSON for each");
  text->allow_extra_args(false)->type_name("TEXT");
  sub->add_option("-f,--file", o->file, "A file with a text in each line; default: standard input")
      ->type_name("FILE")
      ->excludes(text);
  sub->add_option("-z,--tokenizer", o->tokenizer, "tokenizer.bin; default: as for run")->type_name("FILE");
  add_pooling(*sub, o->pooling);
  sub->add_flag("!--any-length", o->normalizes,
                "Leave vectors as long as they are; by default all have length 1");
  add_threads(*sub, o->threads);
  add_isa(*sub, o->isa, "Instruction tier; default: the fastest of this CPU");
  add_precision(*sub, o->precision);
  sub->callback([o, &command] {
    command = [o] {
      o->model = named_or_bundled(o->model);
      return embed(*o);
    };
  });
}

}  // namespace llamajit::cli
