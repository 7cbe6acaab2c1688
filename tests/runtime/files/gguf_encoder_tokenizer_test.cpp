// The tokenizers of encoders out of GGUF files, WordPiece and unigram: what their keys mean.
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "runtime/files/gguf_tokenizer.h"
#include "tests/support/charsmap_writer.h"
#include "tests/support/gguf_tokenizers.h"
#include "tests/support/gguf_writer.h"

namespace llamajit::gguf_encoder_tokenizer_test {
namespace {

using test::bytes_of;
using test::expect_error;
using test::GgufWriter;
using test::tokenizer_of;
using Ids = std::vector<TokenId>;

GgufWriter bert_file(const std::string& word = "\u2581a") {
  GgufWriter w;
  w.add("tokenizer.ggml.model", "bert");
  w.add("tokenizer.ggml.tokens", std::vector<std::string>{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", word,
                                                          "b", "\u2581A", "\u2581e"});
  w.add("tokenizer.ggml.token_type", std::vector<std::int32_t>{3, 3, 3, 3, 3, 1, 1, 5, 1});
  w.add("tokenizer.ggml.unknown_token_id", std::uint32_t{1});
  w.add("tokenizer.ggml.cls_token_id", std::uint32_t{2});
  w.add("tokenizer.ggml.seperator_token_id", std::uint32_t{3});
  return w;
}

GgufWriter t5_file() {
  GgufWriter w;
  w.add("tokenizer.ggml.model", "t5");
  w.add("tokenizer.ggml.tokens",
        std::vector<std::string>{"<pad>", "</s>", "<unk>", "\u2581", "a", "\u2581a", "<0x62>", "<x>", "aa"});
  w.add("tokenizer.ggml.scores", std::vector<float>{0, 0, 0, -3, -3, -4, 0, 0, 0});
  w.add("tokenizer.ggml.token_type", std::vector<std::int32_t>{3, 3, 2, 1, 1, 1, 6, 4, 5});
  w.add("tokenizer.ggml.add_space_prefix", true);
  w.add("tokenizer.ggml.remove_extra_whitespaces", true);
  return w;
}

GgufWriter with(GgufWriter writer, std::string_view key, auto value) {
  writer.remove(key);
  writer.add(key, value);
  return writer;
}

GgufWriter with_charsmap(GgufWriter writer, GgufType element, const std::string& bytes) {
  writer.add("tokenizer.ggml.precompiled_charsmap", GgufType::array,
             bytes_of(element) + bytes_of(std::uint64_t{bytes.size()}) + bytes);
  return writer;
}

TEST(GgufEncoderTokenizer, ReadsWordPieces) {
  const auto tokenizer = tokenizer_of(bert_file());
  EXPECT_EQ(tokenizer->encode("ab A \u00C9b x"), (Ids{2, 5, 6, 5, 8, 6, 1, 3}));
  EXPECT_EQ(tokenizer->encode("a[MASK]a", {.bos = false, .eos = false, .special = true}), (Ids{5, 4, 5}));
  EXPECT_EQ(tokenizer->vocab().special().eos(), 3);
  EXPECT_EQ(tokenizer->decode(2, 5), "a");
  EXPECT_EQ(tokenizer->decode(5, 5), " a");
  EXPECT_EQ(tokenizer->decode(5, 6), "b");
  for (const TokenId id : {0, 1, 2, 3, 4}) EXPECT_EQ(tokenizer->decode(5, id), "");
}

TEST(GgufEncoderTokenizer, BertsKeys) {
  EXPECT_EQ(tokenizer_of(with(bert_file(), "tokenizer.ggml.bos_token_id", std::uint32_t{4}))->encode("a"),
            (Ids{4, 5, 3}));
  EXPECT_EQ(tokenizer_of(with(bert_file(), "tokenizer.ggml.add_sep_token", false))->encode("a"), (Ids{2, 5}));
  EXPECT_EQ(tokenizer_of(with(bert_file(), "tokenizer.ggml.add_eos_token", false))->encode("a"), (Ids{2, 5}));
  EXPECT_EQ(tokenizer_of(with(bert_file(), "tokenizer.ggml.add_bos_token", false))->encode("a"), (Ids{5, 3}));
  const auto both = tokenizer_of(with(bert_file(), "tokenizer.ggml.eos_token_id", std::uint32_t{4}));
  EXPECT_EQ(both->vocab().special().ends, (Ids{3, 4, 0})) << "[PAD] by its name";
  EXPECT_EQ(both->encode("a"), (Ids{2, 5, 3}));
  GgufWriter other = bert_file();
  other.remove("tokenizer.ggml.seperator_token_id");
  EXPECT_EQ(tokenizer_of(other)->encode("a"), (Ids{2, 5})) << "there is no token 102";
  other.add("tokenizer.ggml.sep_token_id", std::uint32_t{4});
  EXPECT_EQ(tokenizer_of(other)->encode("a"), (Ids{2, 5, 4}));
}

TEST(GgufEncoderTokenizer, CapitalsStayWhereTheFileOrItsPiecesHaveThem) {
  constexpr const char* kLowercase = "tokenizer.ggml.normalizer.lowercase";
  constexpr const char* kStrip = "tokenizer.ggml.normalizer.strip_accents";
  const auto encode = [](const GgufWriter& file, std::string_view text) {
    return tokenizer_of(file)->encode(text, {.bos = false, .eos = false});
  };
  EXPECT_EQ(encode(with(bert_file(), kLowercase, false), "A \u00E9"), (Ids{1, 1}));
  EXPECT_EQ(encode(with(bert_file(), kStrip, false), "A \u00C9"), (Ids{5, 1}));
  EXPECT_EQ(encode(with(with(bert_file(), kLowercase, false), kStrip, true), "e\u0301"), (Ids{8}));
  EXPECT_EQ(encode(bert_file("\u2581B"), "B a \u00E9"), (Ids{5, 1, 1})) << "a cased model's";
  EXPECT_EQ(encode(with(bert_file("\u2581B"), kLowercase, true), "B"), (Ids{1}));
}

TEST(GgufEncoderTokenizer, ReadsUnigrams) {
  const auto tokenizer = tokenizer_of(t5_file());
  EXPECT_EQ(tokenizer->encode("  ab  a "), (Ids{5, 6, 5, 1}));
  EXPECT_EQ(tokenizer->encode("c"), (Ids{3, 2, 1}));
  EXPECT_EQ(tokenizer->encode("aa<x>a</s>", {.eos = false, .special = true}), (Ids{5, 4, 7, 5, 1}));
  EXPECT_EQ(tokenizer->decode(4, 5), " a");
  EXPECT_EQ(tokenizer->decode(-1, 5), "a") << "T5's texts have no BOS";
  EXPECT_EQ(tokenizer->decode(4, 6), "b");
  EXPECT_EQ(tokenizer->decode(4, 7), "<x>");
  EXPECT_EQ(tokenizer_of(with(t5_file(), "tokenizer.ggml.add_eos_token", false))->encode("a"), (Ids{5}));
  const GgufWriter spaced = with(t5_file(), "tokenizer.ggml.remove_extra_whitespaces", false);
  EXPECT_EQ(tokenizer_of(spaced)->encode("a "), (Ids{5, 3, 1}));
  const GgufWriter bare = with(t5_file(), "tokenizer.ggml.add_space_prefix", false);
  EXPECT_EQ(tokenizer_of(bare)->encode(" a a"), (Ids{4, 5, 1}));
  EXPECT_EQ(tokenizer_of(bare)->decode(-1, 5), " a") << "no space that encode() put there";
}

// XLM-RoBERTa's: <s> in front, too.
TEST(GgufEncoderTokenizer, UnigramsMayBeginWithBos) {
  GgufWriter w = with(t5_file(), "tokenizer.ggml.bos_token_id", std::uint32_t{0});
  EXPECT_EQ(tokenizer_of(w)->encode("a"), (Ids{5, 1}));
  w.add("tokenizer.ggml.add_bos_token", true);
  const auto tokenizer = tokenizer_of(w);
  EXPECT_EQ(tokenizer->encode("a"), (Ids{0, 5, 1}));
  EXPECT_EQ(tokenizer->decode(0, 5), "a");
}

TEST(GgufEncoderTokenizer, ReadsCharsmapsOfEitherType) {
  const std::string map = test::CharsmapWriter({{"\uFF41", "a"}, {"z", ""}}).bytes();
  for (const GgufType type : {GgufType::u8, GgufType::i8}) {
    EXPECT_EQ(tokenizer_of(with_charsmap(t5_file(), type, map))->encode("\uFF41z"), (Ids{5, 1}));
  }
}

TEST(GgufEncoderTokenizer, SaysWhatIsWrong) {
  constexpr const char* kMap = "tokenizer.ggml.precompiled_charsmap: ";
  expect_error(with(t5_file(), "tokenizer.ggml.precompiled_charsmap", 7),
               std::string(kMap) + "expected an array of u8, found u32");
  expect_error(with(t5_file(), "tokenizer.ggml.precompiled_charsmap", std::vector<float>{1}),
               std::string(kMap) + "expected an array of u8, found an array of f32");
  expect_error(with_charsmap(t5_file(), GgufType::u8, "abc"), "bytes: expected at least 4, found 3");
  expect_error(with_charsmap(t5_file(), GgufType::i8, std::string(4, '\xFF')), "bytes of the tree: expected");
  expect_error(with(bert_file(), "tokenizer.ggml.seperator_token_id", std::uint32_t{9}),
               "tokenizer.ggml.seperator_token_id: expected an integer from 0 to 8, found 9");
  expect_error(bert_file("\u2581" + std::string(1024, 'a')),
               "tokenizer.ggml.tokens[5]: expected at most 1024 bytes, found 1025");
}

}  // namespace
}  // namespace llamajit::gguf_encoder_tokenizer_test
