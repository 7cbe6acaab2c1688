// Tokenizers out of GGUF files: what their keys mean, and real vocabularies.
#include "runtime/files/gguf_tokenizer.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "tests/support/gguf_tokenizers.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/small_stack.h"
#include "tests/support/test_data.h"

namespace llamajit::gguf_tokenizer_test {
namespace {

using test::expect_error;
using test::GgufWriter;
using test::tokenizer_of;
using Ids = std::vector<TokenId>;

// <unk>, <s>, </s>, three pieces of text, a byte, one of each other kind.
GgufWriter spm_file() {
  GgufWriter w;
  w.add("tokenizer.ggml.model", "llama");
  w.add("tokenizer.ggml.tokens",
        std::vector<std::string>{"<unk>", "<s>", "</s>", "\u2581", "a", "\u2581a", "<0x62>", "<x>", "aa"});
  w.add("tokenizer.ggml.scores", std::vector<float>{0, 0, 0, -3, -2, -1, 0, 0, 0});
  w.add("tokenizer.ggml.token_type", std::vector<std::int32_t>{2, 3, 3, 1, 1, 1, 6, 4, 5});
  return w;
}

GgufWriter bpe_file() {
  GgufWriter w;
  w.add("tokenizer.ggml.model", "gpt2");
  w.add("tokenizer.ggml.pre", "gpt-2");
  w.add("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "Ġ", "ab", "Ġab", "<|end|>", "  ", "한"});
  w.add("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 1, 1, 1, 1, 3, 4, 1});
  w.add("tokenizer.ggml.merges", std::vector<std::string>{"a b", "Ġ ab"});
  return w;
}

TEST(GgufTokenizer, ReadsSentencePieces) {
  const auto tokenizer = tokenizer_of(spm_file());
  EXPECT_EQ(tokenizer->encode("ab a"), (Ids{1, 5, 6, 5}));
  EXPECT_EQ(tokenizer->encode("c"), (Ids{1, 3, 0})) << "no piece for this byte";
  EXPECT_EQ(tokenizer->encode("a<x>a"), (Ids{1, 5, 7, 5}));
  EXPECT_EQ(tokenizer->encode("</s>", {.bos = false, .special = true}), (Ids{2}));
  EXPECT_EQ(tokenizer->encode("aaa", {.bos = false}), (Ids{5, 4, 4})) << "8 is unused";
  EXPECT_EQ(tokenizer->decode(1, 5), "a");
  EXPECT_EQ(tokenizer->decode(4, 5), " a");
  EXPECT_EQ(tokenizer->decode(4, 6), "b");
  EXPECT_EQ(tokenizer->decode(4, 7), "<x>");
  for (const TokenId id : {0, 1, 2}) EXPECT_EQ(tokenizer->decode(4, id), "");
}

TEST(GgufTokenizer, ReadsByteLevelPieces) {
  const auto tokenizer = tokenizer_of(bpe_file());
  EXPECT_EQ(tokenizer->encode("ab ab"), (Ids{3, 4}));
  EXPECT_EQ(tokenizer->encode("a  b<|end|>", {.special = true}), (Ids{0, 6, 1, 5}));
  EXPECT_EQ(tokenizer->decode(0, 4), " ab");
  EXPECT_EQ(tokenizer->decode(0, 5), "");
  EXPECT_EQ(tokenizer->decode(0, 7), "한") << "no bytes are written so";
}

// SentencePiece's pieces with merges: é has no piece, \n\n\n no merge.
GgufWriter gemma4_file() {
  GgufWriter w;
  w.add("tokenizer.ggml.model", "gemma4");
  w.add("tokenizer.ggml.tokens",
        std::vector<std::string>{"<pad>", "<bos>", "<turn|>", "\u2581", "a", "b", "\n", "\u2581a", "ab",
                                 "\n\n", "<0xC3>", "<0xA9>", "<0x0A>", "<|tool>", "\u2581\u2581", "<0xFF>",
                                 "b\n", "\u2581ab"});
  w.add("tokenizer.ggml.token_type",
        std::vector<std::int32_t>{3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 6, 6, 6, 4, 1, 6, 1, 1});
  w.add("tokenizer.ggml.merges",
        std::vector<std::string>{"\n \n", "\u2581 \u2581", "a b", "\u2581 a", "b \n", "\u2581 ab"});
  w.add("tokenizer.ggml.bos_token_id", 1);
  w.add("tokenizer.ggml.add_bos_token", false);
  return w;
}

TEST(GgufTokenizer, ReadsGemma4sPieces) {
  const auto tokenizer = tokenizer_of(gemma4_file());
  EXPECT_EQ(tokenizer->encode("ab ab"), (Ids{1, 8, 17}))
      << "BOS whatever the file says, and no space in front";
  const auto encode = [&](std::string_view text) { return tokenizer->encode(text, {.bos = false}); };
  EXPECT_EQ(encode(" a"), (Ids{7}));
  EXPECT_EQ(encode("\u2581a"), (Ids{7})) << "a visible space is a space";
  EXPECT_EQ(encode("   a"), (Ids{14, 7}));
  EXPECT_EQ(encode("b\n\n\na"), (Ids{5, 9, 6, 4})) << "new lines merge with each other alone";
  EXPECT_EQ(encode("a\u00E9\xFF"), (Ids{4, 10, 11, 15})) << "bytes of what is no piece";
  EXPECT_EQ(encode("\t"), (Ids{})) << "neither a piece nor its byte";
  EXPECT_EQ(encode("a<|tool> b"), (Ids{4, 13, 3, 5}));
  EXPECT_EQ(tokenizer->encode("<turn|>a", {.special = true}), (Ids{1, 2, 4}));
  EXPECT_EQ(tokenizer->decode(1, 7), " a");
  EXPECT_EQ(tokenizer->decode(4, 10), "\xC3");
  EXPECT_EQ(tokenizer->vocab().special().ends, (Ids{2})) << "by its name";
}

// The same pieces, but of a file that calls its model gpt2.
TEST(GgufTokenizer, PreTokenizersMayWantSentencePieces) {
  for (const char* name : {"granite-embed-multi-311m", "sarvam-moe"}) {
    GgufWriter w = gemma4_file();
    w.remove("tokenizer.ggml.model");
    w.add("tokenizer.ggml.model", "gpt2");
    w.add("tokenizer.ggml.pre", name);
    EXPECT_EQ(tokenizer_of(w)->encode("ab ab", {.bos = false}), (Ids{8, 17})) << name;
  }
}

TEST(GgufTokenizer, FlagsOverrideWhatTheKindDoes) {
  GgufWriter spm = spm_file();
  spm.add("tokenizer.ggml.add_bos_token", false);
  spm.add("tokenizer.ggml.add_eos_token", true);
  spm.add("tokenizer.ggml.add_space_prefix", false);
  EXPECT_EQ(tokenizer_of(spm)->encode("a a"), (Ids{4, 5, 2}));
  EXPECT_EQ(tokenizer_of(spm)->decode(1, 5), " a");
  GgufWriter bpe = bpe_file();
  bpe.add("tokenizer.ggml.bos_token_id", 5);
  EXPECT_EQ(tokenizer_of(bpe)->encode("a"), (Ids{0}));
  bpe.add("tokenizer.ggml.add_bos_token", true);
  EXPECT_EQ(tokenizer_of(bpe)->encode("a"), (Ids{5, 0}));
  bpe.remove("tokenizer.ggml.add_bos_token");
  bpe.remove("tokenizer.ggml.pre");
  bpe.add("tokenizer.ggml.pre", "llama-bpe");
  EXPECT_EQ(tokenizer_of(bpe)->encode("a"), (Ids{5, 0})) << "Llama 3's texts begin with BOS";
}

TEST(GgufTokenizer, KnowsWhatEndsAText) {
  EXPECT_EQ(tokenizer_of(spm_file())->vocab().special().ends, (Ids{2}));
  EXPECT_EQ(tokenizer_of(bpe_file())->vocab().special().ends, (Ids{5})) << "by its name";
  GgufWriter w = bpe_file();
  w.add("tokenizer.ggml.eos_token_id", 2);
  w.add("tokenizer.ggml.eot_token_id", 3);
  const auto tokenizer = tokenizer_of(w);
  EXPECT_EQ(tokenizer->vocab().special().ends, (Ids{2, 3, 5}));
  EXPECT_EQ(tokenizer->vocab().special().eos(), 2);
  EXPECT_FALSE(tokenizer->vocab().special().bos_ends);
}

TEST(GgufTokenizer, OlderFilesNameNoPreTokenizerOrTypes) {
  GgufWriter w = spm_file();
  w.remove("tokenizer.ggml.token_type");
  const auto tokenizer = tokenizer_of(w);
  EXPECT_EQ(tokenizer->vocab()[0].kind, PieceKind::unknown);
  EXPECT_EQ(tokenizer->vocab()[1].kind, PieceKind::control);
  EXPECT_EQ(tokenizer->vocab()[6].kind, PieceKind::byte);
  EXPECT_EQ(tokenizer->vocab()[7].kind, PieceKind::normal);
  w.remove("tokenizer.ggml.scores");
  EXPECT_EQ(tokenizer_of(w)->encode("a"), (Ids{1, 5}));

  GgufWriter bpe = bpe_file();
  bpe.remove("tokenizer.ggml.pre");
  EXPECT_EQ(tokenizer_of(bpe)->encode("ab ab"), (Ids{3, 4})) << "default";
  bpe.add("general.architecture", "starcoder");
  EXPECT_EQ(tokenizer_of(bpe)->encode("ab ab"), (Ids{3, 4}));
}

// <|endoftext|> may be called unknown, too.
TEST(GgufTokenizer, WhatEndsATextIsNeverWhatIsUnknown) {
  GgufWriter bpe = bpe_file();
  bpe.add("tokenizer.ggml.unknown_token_id", 5);
  bpe.add("tokenizer.ggml.eos_token_id", 5);
  EXPECT_EQ(tokenizer_of(bpe)->encode("a\xFF", {.eos = false}), (Ids{0}));
  bpe.remove("tokenizer.ggml.token_type");
  EXPECT_EQ(tokenizer_of(bpe)->vocab()[5].kind, PieceKind::control);
  EXPECT_EQ(tokenizer_of(bpe)->encode("a\xFF", {.eos = false}), (Ids{0}));
  GgufWriter spm = spm_file();
  spm.add("tokenizer.ggml.unknown_token_id", 2);
  EXPECT_EQ(tokenizer_of(spm)->encode("ca"), (Ids{1, 3, 4}));
}

TEST(GgufTokenizer, Phi3sTokensTakeTheSpaceAfterThem) {
  GgufWriter w = spm_file();
  EXPECT_EQ(tokenizer_of(w)->encode("<x> a", {.special = true}), (Ids{1, 7, 3, 5}));
  w.add("general.name", "Phi-3-mini-4k-instruct");
  EXPECT_EQ(tokenizer_of(w)->encode("<x> a", {.special = true}), (Ids{1, 7, 5}));
  EXPECT_EQ(tokenizer_of(w)->encode("<x>\n\n<x>", {.special = true}), (Ids{1, 7, 7}));
}

// CVE-2025-49847 and -52566 (sizes of vocabularies), and `<0x-1>` as an index, among others.
TEST(GgufTokenizer, SaysWhatIsWrong) {
  expect_error(GgufWriter(),
               "tokenizer.ggml.model: expected llama, gpt2, gemma4, bert or t5, the tokenizers that are "
               "supported, found none (the file has no tokenizer)");
  const auto with = [](GgufWriter writer, std::string_view key, auto value) {
    writer.remove(key);
    writer.add(key, value);
    return writer;
  };
  const auto without = [](GgufWriter writer, std::string_view key) {
    writer.remove(key);
    return writer;
  };
  expect_error(with(spm_file(), "tokenizer.ggml.model", "ber\nt"), "found 'ber\\x0At'");
  expect_error(with(spm_file(), "tokenizer.ggml.model", 7),
               "tokenizer.ggml.model: expected a string, found u32");
  expect_error(without(spm_file(), "tokenizer.ggml.tokens"),
               "tokenizer.ggml.tokens: expected an array of string, found none");
  expect_error(with(spm_file(), "tokenizer.ggml.tokens", std::vector<float>{1}),
               "tokenizer.ggml.tokens: expected an array of string, found an array of f32");
  expect_error(with(spm_file(), "tokenizer.ggml.scores", std::vector<float>(8)),
               "tokenizer.ggml.scores: expected 9 of them, one for each token, found 8");
  expect_error(with(spm_file(), "tokenizer.ggml.token_type", std::vector<std::int32_t>(10)),
               "tokenizer.ggml.token_type: expected 9 of them, one for each token, found 10");
  std::vector<float> scores(9);
  scores[4] = std::numeric_limits<float>::quiet_NaN();
  expect_error(with(spm_file(), "tokenizer.ggml.scores", scores),
               "tokenizer.ggml.scores[4]: expected a number, found NaN");
  for (const std::int32_t type : {-1, 7, INT32_MIN, INT32_MAX}) {
    std::vector<std::int32_t> types(9, 1);
    types[3] = type;
    expect_error(with(spm_file(), "tokenizer.ggml.token_type", types),
                 "tokenizer.ggml.token_type[3]: expected 0 to 6, found " + std::to_string(type));
  }
  for (const char* name : {"<0x-1>", "<0x1>", "<0xZZ>", "<0x6a>", "", "x"}) {
    GgufWriter w = with(spm_file(), "tokenizer.ggml.tokens",
                        std::vector<std::string>{"<unk>", "<s>", "</s>", "b", "a", "c", name, "<x>", "aa"});
    expect_error(
        w, std::string("tokenizer.ggml.tokens[6]: expected a byte piece, '<0x00>' to '<0xFF>', found '") +
               name + "'");
  }
  for (const char* key : {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
                          "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.eot_token_id"}) {
    for (const std::uint32_t id : {9U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
      expect_error(with(spm_file(), key, id),
                   std::string(key) + ": expected an integer from 0 to 8, found " + std::to_string(id));
    }
  }
  expect_error(with(bpe_file(), "tokenizer.ggml.pre", "gpt-9"),
               "tokenizer.ggml.pre: expected one of default, gpt-2");
  expect_error(without(bpe_file(), "tokenizer.ggml.merges"),
               "tokenizer.ggml.merges: expected an array of string, found none");
  for (const char* merge : {"", " ", "ab", " b"}) {
    expect_error(
        with(bpe_file(), "tokenizer.ggml.merges", std::vector<std::string>{"a b", merge}),
        std::string("tokenizer.ggml.merges[1]: expected two pieces with a space between, found '") + merge);
  }
}

// A vocabulary file of the test data, with inputs and the ids that they must give.
struct RealVocabulary {
  std::string path;
  std::vector<std::string> inputs;
  std::vector<Ids> ids;
};

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<RealVocabulary> real_vocabularies() {
  std::vector<RealVocabulary> all;
  const std::string directory = test::test_data("vocab");
  if (!std::filesystem::is_directory(directory)) return all;
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    if (file.path().extension() != ".gguf") continue;
    RealVocabulary& vocabulary = all.emplace_back();
    vocabulary.path = file.path();
    constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
    std::string inputs = content_of(vocabulary.path + ".inp");
    for (std::size_t end; (end = inputs.find(kSeparator)) != std::string::npos;) {
      vocabulary.inputs.push_back(inputs.substr(0, end));
      inputs.erase(0, end + kSeparator.size());
    }
    std::istringstream lines(content_of(vocabulary.path + ".out"));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream ids(line);
      vocabulary.ids.emplace_back(std::istream_iterator<TokenId>(ids), std::istream_iterator<TokenId>());
    }
  }
  std::ranges::sort(all, {}, &RealVocabulary::path);
  return all;
}

// Returns what decoding gives back of a text.
std::string decoded(const Tokenizer& tokenizer, const Ids& ids) {
  std::string text;
  TokenId previous = tokenizer.vocab().special().bos;
  for (const TokenId id : ids) text += tokenizer.decode(std::exchange(previous, id), id);
  return text;
}

class RealVocabularies : public ::testing::Test {
 protected:
  void SetUp() override {
    if (vocabularies_.empty()) GTEST_SKIP() << "no vocab/*.gguf; LLAMAJIT_TEST_DATA names their folder";
  }
  // The tokenizers that are not supported are left out.
  template <class Use>
  void for_each(Use use) const {
    int used = 0;
    for (const RealVocabulary& vocabulary : vocabularies_) {
      SCOPED_TRACE(vocabulary.path);
      const GgufFile file(vocabulary.path);
      const auto model = file.string("tokenizer.ggml.model");
      if (model != "llama" && model != "gpt2") continue;
      ++used;
      use(vocabulary, *read_gguf_tokenizer(file));
    }
    EXPECT_GT(used, 0);
  }
  const std::vector<RealVocabulary> vocabularies_ = real_vocabularies();
};

TEST_F(RealVocabularies, GiveTheIdsThatTheirModelsWereTrainedWith) {
  for_each([](const RealVocabulary& vocabulary, const Tokenizer& tokenizer) {
    EXPECT_EQ(vocabulary.inputs.size(), vocabulary.ids.size());
    for (std::size_t i = 0; i < vocabulary.ids.size(); ++i) {
      const Ids ids = tokenizer.encode(vocabulary.inputs[i], {.bos = false, .eos = false});
      EXPECT_EQ(ids, vocabulary.ids[i]) << "input " << i << ": " << vocabulary.inputs[i];
      EXPECT_EQ(decoded(tokenizer, ids), vocabulary.inputs[i]) << "input " << i;
    }
  });
}

TEST_F(RealVocabularies, DecodeWhatTheyEncoded) {
  for_each([](const RealVocabulary& /*vocabulary*/, const Tokenizer& tokenizer) {
    std::mt19937 random(17);
    const std::vector<std::string> units = {"the ",     " of", "\n\n", "   ", "123",  "한국어", "é",  "🦙",
                                            "\xED\x95", "'ll", "::",   "\t",  "你好", "<",      "\\", "A"};
    // Some vocabularies have no piece for bytes that no text of theirs contained.
    std::string bytes;
    for (int byte = 0; byte < 256; ++byte) {
      const auto c = static_cast<char>(byte);
      const Vocab& vocab = tokenizer.vocab();
      if (vocab.find({&c, 1}) >= 0 || vocab.byte_piece(static_cast<std::uint8_t>(byte)) >= 0) bytes += c;
    }
    EXPECT_GT(bytes.size(), 200);
    for (int i = 0; i < 300; ++i) {
      std::string text;
      for (std::size_t n = random() % 30; n > 0; --n) {
        text += random() % 3 == 0 ? std::string(1, bytes[random() % bytes.size()])
                                  : units[random() % units.size()];
      }
      ASSERT_EQ(decoded(tokenizer, tokenizer.encode(text, {.bos = false, .eos = false})), text);
    }
  });
}

// Bytes that no piece has are U+FFFD, as the models saw them.
TEST_F(RealVocabularies, NoTextBecomesAControlToken) {
  for_each([](const RealVocabulary& /*vocabulary*/, const Tokenizer& tokenizer) {
    for (int byte = 0; byte < 256; ++byte) {
      const std::string text = std::string("a") + static_cast<char>(byte) + "b";
      const Ids ids = tokenizer.encode(text, {.bos = false, .eos = false});
      for (const TokenId id : ids) EXPECT_NE(tokenizer.vocab()[id].kind, PieceKind::control) << byte;
      const std::string back = decoded(tokenizer, ids);
      EXPECT_TRUE(back == text || back == "a\uFFFDb") << byte << ": " << back;
    }
  });
}

TEST_F(RealVocabularies, GptNeoXComposesLetters) {
  int used = 0;
  for_each([&](const RealVocabulary& vocabulary, const Tokenizer& tokenizer) {
    const auto encode = [&](std::string_view text, bool normalize) {
      return tokenizer.encode(text, {.bos = false, .eos = false, .normalize = normalize});
    };
    const bool composes = vocabulary.path.ends_with("gpt-neox.gguf");
    EXPECT_EQ(encode("cafe\u0301 \u1100\u1161", true) == encode("café 가", true), composes);
    EXPECT_NE(encode("cafe\u0301", false), encode("café", false));
    if (composes) ++used;
  });
  EXPECT_EQ(used, 1);
}

TEST_F(RealVocabularies, AMebibyteOfOneCharacterIsQuickAndNeedsLittleStack) {
  for_each([](const RealVocabulary& vocabulary, const Tokenizer& tokenizer) {
    for (const char* unit : {"a", " ", "1", "\n", "=", "-", "한", "x y"}) {
      std::string text;
      while (text.size() < std::size_t{1} << 20) text += unit;
      const double seconds = test::best_seconds_on_small_stack([&] { tokenizer.encode(text); });
      const bool one = std::string_view(unit) != "x y";
      EXPECT_LT(seconds, (one ? 1 : 4) * test::kMebibyteSeconds) << unit;
      RecordProperty(std::filesystem::path(vocabulary.path).stem().string() + "_" +
                         std::to_string(static_cast<unsigned char>(*unit)),
                     std::to_string(seconds * 1e3));
    }
  });
}

}  // namespace
}  // namespace llamajit::gguf_tokenizer_test
