// llamajit tokenize: text to tokens, shown as ids or one a line.
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tokenizer/utf8.h"
#include "tools/common/bundled_models.h"
#include "tools/common/cli.h"
#include "tools/common/model_input.h"

namespace llamajit::cli {
namespace {

struct TokenizeOptions {
  std::optional<std::string> model;
  std::optional<std::string> tokenizer;
  std::optional<std::string> prompt;
  bool ids = false;
  bool no_bos = false;
  bool special = true;
  bool normalize = true;
};

std::string name_of(const Vocab& vocab, TokenId id) {
  const Piece& piece = vocab[id];
  switch (piece.kind) {
    case PieceKind::control:
    case PieceKind::unknown:
      return fmt::format("{} (control)", escaped(piece.bytes));
    case PieceKind::byte:
      return fmt::format("'{}' (byte)", escaped(piece.bytes));
    case PieceKind::user_defined:
      return fmt::format("'{}' (user-defined)", escaped(piece.bytes));
    case PieceKind::unused:
    case PieceKind::normal:
      break;
  }
  return fmt::format("'{}'", escaped(piece.bytes));
}

int tokenize(TokenizeOptions& options) {
  // A tokenizer.bin is enough alone.
  if (options.model || !options.tokenizer) options.model = named_or_bundled(options.model.value_or(""));
  const auto tokenizer = open_tokenizer(options.model, options.tokenizer);
  const Vocab& vocab = tokenizer->vocab();
  const std::string text = options.prompt ? *options.prompt : read_standard_input();
  const std::vector<TokenId> ids = tokenizer->encode(text, {.bos = !options.no_bos,
                                                            .eos = !options.no_bos,
                                                            .special = options.special,
                                                            .normalize = options.normalize});
  if (options.ids) {
    write_out(fmt::format("{}\n", fmt::join(ids, " ")));
    return kOk;
  }
  std::string lines;
  for (TokenId id : ids) lines += fmt::format("{:>6}  {}\n", id, name_of(vocab, id));
  write_out(lines);
  return kOk;
}

}  // namespace

void add_tokenize(CLI::App& app, Command& command) {
  auto o = std::make_shared<TokenizeOptions>();
  CLI::App* sub = app.add_subcommand("tokenize", "Show the tokens of a text");
  add_model(
      *sub, o->model,
      "A GGUF file, of which the tokenizer is enough; a legacy ggml file; a checkpoint, for its "
      "vocabulary's size and the tokenizer.bin beside it; or the name of a bundled model; default without "
      "-z: the bundled story model");
  sub->add_option("-z,--tokenizer", o->tokenizer, "tokenizer.bin")->type_name("FILE");
  sub->add_option("-p,--prompt", o->prompt, "The text; default: standard input, byte for byte");
  sub->add_flag("--ids", o->ids, "Print the ids alone, on one line");
  sub->add_flag("--no-bos", o->no_bos, "Without the tokens that begin and end a text");
  sub->add_flag("!--no-special,!--no-parse-special", o->special,
                "Take the names of control tokens in the text for plain text");
  add_no_normalize(*sub, o->normalize);
  sub->callback([o, &command] { command = [o] { return tokenize(*o); }; });
}

}  // namespace llamajit::cli
