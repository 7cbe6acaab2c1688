// llamajit ngrams: a text's tokens, for drafts of other texts.
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/file_replacement.h"
#include "runtime/base/numbers.h"
#include "runtime/draft/ngram_file.h"
#include "tools/common/bundled_models.h"
#include "tools/common/cli.h"
#include "tools/common/model_input.h"

namespace llamajit::cli {
namespace {

struct NgramOptions {
  std::optional<std::string> model;
  std::optional<std::string> tokenizer;
  std::string text;
  std::string out;
};

int ngrams(const NgramOptions& options) {
  refuse_replacing(options.out, {{options.text}});
  // A tokenizer.bin is enough alone.
  std::optional<std::string> model = options.model;
  if (model || !options.tokenizer) model = named_or_bundled(model.value_or(""));
  std::vector<std::string> read;
  if (model) read.push_back(*model);
  const auto tokenizer_bin = model ? tokenizer_for(*model, options.tokenizer) : options.tokenizer;
  if (tokenizer_bin) read.push_back(*tokenizer_bin);
  refuse_replacing(options.out, read);
  const std::string text = read_file(options.text);
  const auto tokenizer = open_tokenizer(model, options.tokenizer);
  const std::vector<TokenId> tokens = tokenizer->encode(text, {.bos = false, .eos = false, .special = true});
  FileReplacement out(options.out);
  write_ngrams(tokens, tokenizer->vocab(), [&](std::span<const std::byte> bytes) { out.write(bytes); });
  out.commit();
  write_out(fmt::format("{}: {} of {}, {} bytes\n", options.out, counted(tokens.size(), "token"),
                        options.text, out.size()));
  return kOk;
}

}  // namespace

void add_ngrams(CLI::App& app, Command& command) {
  auto o = std::make_shared<NgramOptions>();
  CLI::App* sub =
      app.add_subcommand("ngrams", "Write a text's tokens to a file, for drafts of other texts (--ngrams)");
  sub->add_option("TEXT", o->text,
                  "The text, which those to come are like: code, a language, answers of some form")
      ->type_name("FILE")
      ->required();
  sub->add_option("OUT", o->out, "The file to write")->type_name("FILE")->required();
  sub->add_option("-m,--model", o->model,
                  "The model whose texts they are for; default: the bundled story model")
      ->type_name("MODEL");
  sub->add_option("-z,--tokenizer", o->tokenizer, "tokenizer.bin; default: the model's")->type_name("FILE");
  sub->callback([o, &command] { command = [o] { return ngrams(*o); }; });
}

}  // namespace llamajit::cli
