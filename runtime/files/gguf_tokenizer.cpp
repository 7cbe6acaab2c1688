#include "runtime/files/gguf_tokenizer.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/files/special_names.h"
#include "tokenizer/bpe.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/spm.h"
#include "tokenizer/unigram.h"
#include "tokenizer/utf8.h"
#include "tokenizer/visible_space.h"
#include "tokenizer/word_piece.h"

namespace llamajit {
namespace {

constexpr std::uint64_t kMaxTokens = 1 << 24;  // the model readers' limit, too
constexpr std::uint64_t kMaxMerges = 1 << 26;

// The numbers are those of the key token_type.
PieceKind kind_of(std::int64_t type) {
  switch (type) {
    case 2:
      return PieceKind::unknown;
    case 3:
      return PieceKind::control;
    case 4:
      return PieceKind::user_defined;
    case 5:
      return PieceKind::unused;
    case 6:
      return PieceKind::byte;
    default:
      return PieceKind::normal;
  }
}

// The pre-tokenizer of architectures whose files are older than the key that names it.
constexpr std::pair<std::string_view, std::string_view> kPreTokenizerOfArchitecture[] = {
    {"gpt2", "gpt-2"},        {"gptneox", "gpt-neox"},     {"mpt", "mpt"},       {"olmo", "olmo"},
    {"bloom", "bloom"},       {"falcon", "falcon"},        {"refact", "refact"}, {"starcoder", "starcoder"},
    {"qwen2", "qwen2"},       {"starcoder2", "starcoder"}, {"qwen3", "qwen2"},   {"command-r", "command-r"},
    {"stablelm", "gpt-neox"}, {"codeshell", "codeshell"},
};

class TokenizerReader {
 public:
  explicit TokenizerReader(const GgufFile& file) : file_(file) {}

  std::unique_ptr<Tokenizer> read() {
    const auto model = file_.string("tokenizer.ggml.model");
    constexpr std::string_view kExpected =
        "llama, gpt2, gemma4, bert or t5, the tokenizers that are supported";
    if (!model) file_.fail("tokenizer.ggml.model", kExpected, "none (the file has no tokenizer)");
    if (*model == "llama") return read_spm();
    if (*model == "gpt2") return read_bpe(read_pre_tokenizer());
    if (*model == "gemma4") return read_bpe(*find_pre_tokenizer_rule("gemma4"));
    if (*model == "bert") return read_word_piece();
    if (*model == "t5") return read_unigram();
    file_.fail("tokenizer.ggml.model", kExpected, fmt::format("'{}'", escaped(*model)));
  }

 private:
  std::unique_ptr<Tokenizer> read_spm() {
    const SpmRules rules{.space_prefix = file_.boolean("tokenizer.ggml.add_space_prefix").value_or(true),
                         .llama2c = false};
    SpecialTokens special = read_special({.unknown = 0, .bos = 1, .ends = {2}, .add_bos = true});
    return finish(std::make_unique<SpmTokenizer>(read_spaced_vocab(std::move(special)), rules));
  }

  std::unique_ptr<Tokenizer> read_bpe(const PreTokenizerRule& rule) {
    SpecialTokens special = read_special({.unknown = -1, .bos = -1, .ends = {}, .add_bos = rule.add_bos});
    special.add_bos = special.add_bos || rule.always_bos;
    Vocab vocab =
        rule.characters ? read_spaced_vocab(std::move(special)) : read_bytes_vocab(std::move(special));
    return finish(std::make_unique<BpeTokenizer>(std::move(vocab), read_merges().strings, rule));
  }

  // The vocabularies of byte-level BPE, each of whose characters stands for a byte.
  Vocab read_bytes_vocab(SpecialTokens special) const {
    std::vector<Piece> pieces = read_pieces(special);
    for (Piece& piece : pieces) {
      if (piece.kind != PieceKind::normal) continue;
      // A piece that no bytes are written as is printed as it is; text never becomes it.
      if (auto bytes = bytes_of_byte_level(piece.bytes)) {
        piece.bytes = std::move(*bytes);
      } else {
        piece.kind = PieceKind::unused;
      }
    }
    apply_names(pieces, special);
    return Vocab(std::move(pieces), std::move(special));
  }

  // llama.cpp ends a text with [SEP] whatever the file says; the flags are obeyed here, where there are any.
  std::unique_ptr<Tokenizer> read_word_piece() {
    const TokenId begin = read_id("tokenizer.ggml.cls_token_id", 101);
    const TokenId separator =
        read_id("tokenizer.ggml.seperator_token_id", read_id("tokenizer.ggml.sep_token_id", 102));
    SpecialTokens special =
        read_special({.unknown = 100, .bos = begin, .ends = {separator}, .add_bos = true, .add_eos = true});
    std::erase(special.ends, separator);
    if (separator >= 0) special.ends.insert(special.ends.begin(), separator);
    special.add_eos = file_.boolean("tokenizer.ggml.add_sep_token").value_or(special.add_eos);
    Vocab vocab = read_spaced_vocab(std::move(special));
    check_lengths(vocab);
    BertRules rules;
    rules.lowercase = file_.boolean("tokenizer.ggml.normalizer.lowercase").value_or(!has_capitals(vocab));
    rules.strip_accents = file_.boolean("tokenizer.ggml.normalizer.strip_accents").value_or(rules.lowercase);
    return finish(std::make_unique<WordPieceTokenizer>(std::move(vocab), rules));
  }

  std::unique_ptr<Tokenizer> read_unigram() {
    SpecialTokens special =
        read_special({.unknown = 2, .bos = -1, .ends = {1}, .add_bos = false, .add_eos = true});
    UnigramRules rules{
        .space_prefix = file_.boolean("tokenizer.ggml.add_space_prefix").value_or(false),
        .merge_spaces = file_.boolean("tokenizer.ggml.remove_extra_whitespaces").value_or(false),
        .charsmap = read_charsmap()};
    Vocab vocab = read_spaced_vocab(std::move(special));
    check_lengths(vocab);
    return finish(std::make_unique<UnigramTokenizer>(std::move(vocab), std::move(rules)));
  }

  void check_lengths(const Vocab& vocab) const {
    for (TokenId id = 0; id < vocab.size(); ++id) {
      const std::size_t length = vocab[id].bytes.size();
      if (vocab[id].kind != PieceKind::normal || length <= PieceTrie::kLongest) continue;
      file_.fail(fmt::format("tokenizer.ggml.tokens[{}]", id),
                 fmt::format("at most {} bytes", PieceTrie::kLongest), fmt::to_string(length));
    }
  }

  Charsmap read_charsmap() const {
    constexpr std::string_view kKey = "tokenizer.ggml.precompiled_charsmap";
    const GgufEntry* const entry = file_.find(kKey);
    if (entry == nullptr) return {};
    const auto* array = std::get_if<GgufArray>(&entry->value);
    if (array == nullptr || array->type != GgufType::i8) array = file_.array(kKey, GgufType::u8);
    try {
      return Charsmap({reinterpret_cast<const char*>(array->numbers.data()), array->numbers.size()});
    } catch (const std::invalid_argument& error) {
      file_.fail(kKey, "SentencePiece's normalisation", error.what());
    }
  }

  // The vocabularies of SentencePiece and BERT, whose spaces are visible.
  Vocab read_spaced_vocab(SpecialTokens special) const {
    std::vector<Piece> pieces = read_pieces(special);
    for (Piece& piece : pieces) {
      if (piece.kind == PieceKind::normal) piece.bytes = with_spaces(piece.bytes);
    }
    // BERT's [UNK] is called a control token, as all that its tokenizer's configuration calls special are.
    const TokenId id = special.unknown;
    if (id >= 0 && id != special.bos && std::ranges::count(special.ends, id) == 0) {
      Piece& unknown = pieces[static_cast<std::size_t>(id)];
      if (unknown.kind == PieceKind::control) unknown.kind = PieceKind::unknown;
    }
    apply_names(pieces, special);
    return Vocab(std::move(pieces), std::move(special));
  }

  // Everything was read from the mapped file, perhaps from pages that are gone.
  std::unique_ptr<Tokenizer> finish(std::unique_ptr<Tokenizer> tokenizer) const {
    file_.check_intact();
    return tokenizer;
  }

  const GgufArray& required(std::string_view key, GgufType type, std::uint64_t most) const {
    const GgufArray* const array = file_.array(key, type);
    if (array == nullptr) file_.fail(key, fmt::format("an array of {}", to_string(type)), "none");
    if (array->size > most) file_.fail(key, fmt::format("at most {}", most), fmt::to_string(array->size));
    return *array;
  }

  // As long as the tokens, or nullptr.
  const GgufArray* per_token(std::string_view key, GgufType type) const {
    const GgufArray* const array = file_.array(key, type);
    if (array != nullptr && array->size != n_tokens()) {
      file_.fail(key, fmt::format("{} of them, one for each token", n_tokens()), fmt::to_string(array->size));
    }
    return array;
  }

  std::uint64_t n_tokens() const { return tokens().size; }
  const GgufArray& tokens() const { return required("tokenizer.ggml.tokens", GgufType::string, kMaxTokens); }

  std::vector<Piece> read_pieces(const SpecialTokens& special) const {
    const GgufArray* const scores = per_token("tokenizer.ggml.scores", GgufType::f32);
    const GgufArray* const types = per_token("tokenizer.ggml.token_type", GgufType::i32);
    std::vector<Piece> pieces;
    pieces.reserve(n_tokens());
    for (const std::string_view text : tokens().strings) {
      const std::uint64_t id = pieces.size();
      Piece piece{std::string(text)};
      if (scores != nullptr) piece.score = read_score(*scores, id);
      piece.kind =
          types != nullptr ? read_kind(*types, id) : guess_kind(static_cast<TokenId>(id), text, special);
      if (piece.kind == PieceKind::byte) piece.bytes.assign(1, read_byte(text, id));
      pieces.push_back(std::move(piece));
    }
    return pieces;
  }

  float read_score(const GgufArray& scores, std::uint64_t id) const {
    const float score = std::get<float>(scores[id]);
    if (std::isnan(score)) file_.fail(fmt::format("tokenizer.ggml.scores[{}]", id), "a number", "NaN");
    return score;
  }

  PieceKind read_kind(const GgufArray& types, std::uint64_t id) const {
    const auto type = std::get<std::int64_t>(types[id]);
    if (type < 0 || type > 6) {
      file_.fail(fmt::format("tokenizer.ggml.token_type[{}]", id), "0 to 6", fmt::to_string(type));
    }
    return kind_of(type);
  }

  // Where the file does not say.
  static PieceKind guess_kind(TokenId id, std::string_view text, const SpecialTokens& special) {
    if (id == special.bos || std::ranges::count(special.ends, id) > 0) return PieceKind::control;
    if (id == special.unknown) return PieceKind::unknown;
    return parse_byte_piece(text) ? PieceKind::byte : PieceKind::normal;
  }

  char read_byte(std::string_view text, std::uint64_t id) const {
    const auto byte = parse_byte_piece(text);
    if (!byte) {
      file_.fail(fmt::format("tokenizer.ggml.tokens[{}]", id), "a byte piece, '<0x00>' to '<0xFF>'",
                 fmt::format("'{}'", escaped(text)));
    }
    return *byte;
  }

  // -1 where the file has neither the key nor so many tokens.
  TokenId read_id(std::string_view key, TokenId otherwise) const {
    const auto n = static_cast<std::int64_t>(n_tokens());
    const auto value = file_.integer(key, 0, n - 1);
    return value ? static_cast<TokenId>(*value) : otherwise < n ? otherwise : -1;
  }

  SpecialTokens read_special(SpecialTokens special) const {
    special.unknown = read_id("tokenizer.ggml.unknown_token_id", special.unknown);
    special.bos = read_id("tokenizer.ggml.bos_token_id", special.bos);
    const TokenId eos = read_id("tokenizer.ggml.eos_token_id", special.eos());
    special.ends.clear();
    add_end(special, eos);
    for (const char* key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
      add_end(special, read_id(key, -1));
    }
    special.add_bos = file_.boolean("tokenizer.ggml.add_bos_token").value_or(special.add_bos);
    special.add_eos = eos >= 0 && file_.boolean("tokenizer.ggml.add_eos_token").value_or(special.add_eos);
    special.bos_ends = false;
    special.spelled_in_text = true;
    return special;
  }

  static void add_end(SpecialTokens& special, TokenId id) {
    if (id >= 0 && std::ranges::count(special.ends, id) == 0) special.ends.push_back(id);
  }

  // What the file leaves to names.
  void apply_names(std::vector<Piece>& pieces, SpecialTokens& special) const {
    find_ends(pieces, special);
    const auto text = [&](std::string_view key) { return file_.string(key).value_or(""); };
    find_takers_of_space(pieces, {.tokenizer = text("tokenizer.ggml.model"),
                                  .pre_tokenizer = text("tokenizer.ggml.pre"),
                                  .architecture = text("general.architecture"),
                                  .name = text("general.name")});
  }

  const PreTokenizerRule& read_pre_tokenizer() const {
    const auto named = file_.string("tokenizer.ggml.pre");
    const std::string_view name = named ? *named : pre_tokenizer_of_architecture();
    const PreTokenizerRule* const rule = find_pre_tokenizer_rule(name);
    if (rule == nullptr) {
      std::vector<std::string_view> names;
      for (const PreTokenizerRule& known : pre_tokenizer_rules()) names.push_back(known.name);
      file_.fail("tokenizer.ggml.pre", fmt::format("one of {}", fmt::join(names, ", ")),
                 fmt::format("'{}'", escaped(name)));
    }
    return *rule;
  }

  std::string_view pre_tokenizer_of_architecture() const {
    const auto architecture = file_.string("general.architecture").value_or("");
    for (const auto& [known, rule] : kPreTokenizerOfArchitecture) {
      if (known == architecture) return rule;
    }
    return "default";
  }

  const GgufArray& read_merges() const {
    const GgufArray& merges = required("tokenizer.ggml.merges", GgufType::string, kMaxMerges);
    for (std::size_t i = 0; i < merges.strings.size(); ++i) {
      if (merges.strings[i].find(' ', 1) != std::string_view::npos) continue;
      file_.fail(fmt::format("tokenizer.ggml.merges[{}]", i), "two pieces with a space between",
                 fmt::format("'{}'", escaped(merges.strings[i])));
    }
    return merges;
  }

  const GgufFile& file_;
};

}  // namespace

std::unique_ptr<Tokenizer> read_gguf_tokenizer(const GgufFile& file) {
  return TokenizerReader(file).read();
}

}  // namespace llamajit
