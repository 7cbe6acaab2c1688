// Tokenizers of hostile vocabularies, and texts: a recipe of a GGUF file's keys, then pieces, then a text; and the same
// pieces as a tokenizer.bin.
#include "runtime/files/gguf_tokenizer.h"
#include "runtime/files/tokenizer_bin.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/gguf_writer.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/spm.h"

namespace llamajit::fuzz {
namespace {

constexpr const char* kKinds[] = {"llama", "gpt2", "bert", "t5", "gemma4"};
void check_encoding(const Tokenizer& tokenizer, std::string_view text) {
  for (const bool special : {false, true}) {
    TokenId previous = -1;
    for (const TokenId id : tokenizer.encode(text, {.special = special})) {
      expect(id >= 0 && id < tokenizer.vocab().size(), "a token beyond the vocabulary");
      tokenizer.decode(previous, id);
      previous = id;
    }
  }
  tokenizer.decode(tokenizer.vocab().size(), -5);
}

std::string gguf_of(Recipe& recipe) {
  test::GgufWriter w;
  w.add("general.architecture", "llama");
  w.add("tokenizer.ggml.model", kKinds[recipe.pick(std::size(kKinds))]);
  const std::size_t pre = recipe.pick(pre_tokenizer_rules().size() + 1);
  if (pre > 0) w.add("tokenizer.ggml.pre", pre_tokenizer_rules()[pre - 1].name);
  const std::uint16_t flags = recipe.number<std::uint16_t>();
  const auto has = [&](int bit) { return (flags >> bit & 1) != 0; };
  const char* const truths[] = {"add_bos_token", "add_eos_token", "add_space_prefix",
                                "remove_extra_whitespaces", "escape_whitespaces"};
  for (std::size_t i = 0; i < std::size(truths); ++i) {
    if (has(static_cast<int>(2 * i)))
      w.add(std::string("tokenizer.ggml.") + truths[i], has(static_cast<int>(2 * i + 1)));
  }
  for (const char* const name : {"bos", "eos", "unknown", "padding", "eot"}) {
    if (const int id = recipe.number<std::int8_t>(); id != 0)
      w.add(std::string("tokenizer.ggml.") + name + "_token_id", static_cast<std::uint32_t>(id));
  }
  std::vector<std::string> pieces;
  std::vector<float> scores;
  std::vector<std::int32_t> types;
  for (std::size_t n = recipe.number<std::uint8_t>(); n-- > 0 && !recipe.done();) {
    types.push_back(static_cast<std::int32_t>(recipe.pick(8)));
    scores.push_back(has(14) ? recipe.number<float>() : -static_cast<float>(pieces.size()));
    pieces.emplace_back(recipe.text());
  }
  std::vector<std::string> merges;
  for (std::size_t n = recipe.pick(64); n-- > 0 && !recipe.done();) merges.emplace_back(recipe.text());
  w.add("tokenizer.ggml.tokens", pieces);
  if (has(10)) w.add("tokenizer.ggml.scores", scores);
  if (has(11)) w.add("tokenizer.ggml.token_type", types);
  if (has(12)) w.add("tokenizer.ggml.merges", merges);
  if (has(13)) {
    const std::string_view charsmap = recipe.take(64);
    w.add("tokenizer.ggml.precompiled_charsmap", GgufType::array,
          test::bytes_of(GgufType::u8) + test::bytes_of(std::uint64_t{charsmap.size()}) +
              std::string(charsmap));
  }
  return w.content();
}

}  // namespace

void run(std::string_view input) {
  Recipe recipe(input);
  if (recipe.pick(8) == 0) {
    const std::string_view text = recipe.text();
    const InputFile file(recipe.rest());
    succeeds([&] { check_encoding(SpmTokenizer(read_tokenizer_bin(file.path(), -1)), text); });
    return;
  }
  const InputFile file(gguf_of(recipe));
  succeeds([&] { check_encoding(*read_gguf_tokenizer(GgufFile(file.path())), recipe.rest()); });
}

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (std::uint8_t kind = 0; kind < std::size(kKinds); ++kind) {
    for (std::uint8_t pre = 0; pre <= pre_tokenizer_rules().size(); ++pre) {
      if (kind != 1 && pre > 1) break;
      std::string seed{'\1',
                       static_cast<char>(kind),
                       static_cast<char>(pre),
                       '\0',
                       kind == 1 ? '\x1c' : '\x0c',
                       1,
                       2,
                       0,
                       0,
                       0};
      seed += '\x0c';
      const std::string space = kind == 1 ? "\u0120" : "\u2581";
      for (const std::string& piece : std::vector<std::string>{"<unk>", "<s>", "</s>", "a", "b", "c", space,
                                                               "ab", space + "a", "##b", "<0x0A>", "[UNK]"}) {
        seed += (piece[0] == '<' ? piece[1] == '0' ? '\6' : '\3' : '\1') + piece + std::string(1, '\0');
      }
      seed += std::string("\2a b\0", 5) + space + " a" + std::string(1, '\0');
      all.push_back(seed + "abc ab's 123 \xEA\xB0\x80 ABC<s>\n\t!!");
    }
  }
  std::string bin = test::bytes_of(std::uint32_t{8});
  for (const std::string piece : {"<unk>", "<s>", "</s>", "<0x00>", "a", " ", "b", "ab", " ab"}) {
    bin += test::bytes_of(-1.0F) + test::bytes_of(static_cast<std::uint32_t>(piece.size())) + piece;
  }
  all.push_back(std::string("\0ab ab\0", 7) + bin);
  return all;
}

}  // namespace llamajit::fuzz
