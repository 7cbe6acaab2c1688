// The SentencePiece tokenizer on the real vocabulary of Llama 2, in both generations of llama2.c's file.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/files/tokenizer_bin.h"
#include "tests/support/test_data.h"
#include "tokenizer/spm.h"

namespace llamajit::spm_llama2_test {
namespace {

using Ids = std::vector<TokenId>;

// Text and ids, BOS included: the ids are those of Meta's own tokenizer, as llama2.c's tests have them.
const std::vector<std::pair<std::string, Ids>> kMustMatch = {
    {"", {1}},
    {"I believe the meaning of life is", {1, 306, 4658, 278, 6593, 310, 2834, 338}},
    {"Simply put, the theory of relativity states that ",
     {1, 3439, 17632, 1925, 29892, 278, 6368, 310, 14215, 537, 5922, 393, 29871}},
    {"A brief message congratulating the team on the launch:\n\n        Hi everyone,\n\n        I just ",
     {1,     319, 11473, 2643, 378,  629,   271,   18099, 278, 3815, 373, 278, 6826,
      29901, 13,  13,    4706, 6324, 14332, 29892, 13,    13,  4706, 306, 925, 29871}},
    {"Translate English to French:\n\n        sea otter => loutre de mer\n        peppermint => menthe "
     "poivrée\n        plush girafe => girafe peluche\n        cheese =>",
     {1,   4103, 9632, 4223, 304,  5176, 29901, 13,   13,   4706, 7205,  4932, 357,  1149,  301,  449, 276,
      316, 2778, 13,   4706, 1236, 407,  837,   524,  1149, 6042, 354,   772,  440,  29878, 1318, 13,  4706,
      715, 1878, 330,  3055, 1725, 1149, 330,   3055, 1725, 4639, 28754, 13,   4706, 923,   968,  1149}},
};

// Hangul in and out of the vocabulary, conjoining jamo, emoji with joiners and modifiers, combining accents,
// both one-byte ends, and bytes that are no UTF-8.
const std::vector<std::string> kRoundTrips = {
    "안녕하세요, 세계! 뷁 쀍 똠방각하",
    "\u1112\u1161\u11ab\u1100\u1173\u11af",
    "👩‍👩‍👧‍👦 👍🏽 🇰🇷 😀",
    "e\u0301 n\u0303 a\u0323\u0302 é",
    "  leading and trailing  ",
    "tab\tnewline\r\n",
    std::string("nul\0 inside", 11),
    "<s></s><unk><0x41>",
    "\xFF\xC3\x28\xED\xA0\x80\xF5 cut \xED\x95",
    std::string(40, ' '),
    std::string(600, 'x'),
};

class SpmLlama2 : public testing::TestWithParam<const char*> {};

std::string decode_all(const SpmTokenizer& tokenizer, const Ids& ids) {
  std::string text;
  for (std::size_t i = 1; i < ids.size(); ++i) text += tokenizer.decode(ids[i - 1], ids[i]);
  return text;
}

TEST_P(SpmLlama2, GivesTheIdsThatMetaGives) {
  const std::string path = test::test_data(GetParam());
  LLAMAJIT_REQUIRE_FILE(path);
  const SpmTokenizer tokenizer(read_tokenizer_bin(path, 32000));
  for (const auto& [text, ids] : kMustMatch) EXPECT_EQ(tokenizer.encode(text), ids) << text;
}

TEST_P(SpmLlama2, DecodesWhatItEncoded) {
  const std::string path = test::test_data(GetParam());
  LLAMAJIT_REQUIRE_FILE(path);
  const SpmTokenizer tokenizer(read_tokenizer_bin(path, 32000));
  for (const std::string& text : kRoundTrips) {
    EXPECT_EQ(decode_all(tokenizer, tokenizer.encode(text)), text);
  }
}

INSTANTIATE_TEST_SUITE_P(BothGenerations, SpmLlama2,
                         testing::Values("tokenizer.bin", "tokenizer-raw-bytes.bin"),
                         [](const auto& instance) {
                           return std::string_view(instance.param) == "tokenizer.bin" ? "Current"
                                                                                      : "RawBytes";
                         });

TEST(SpmLlama2Files, BothGenerationsGiveTheSameIds) {
  const std::string current = test::test_data("tokenizer.bin");
  const std::string raw = test::test_data("tokenizer-raw-bytes.bin");
  LLAMAJIT_REQUIRE_FILE(current);
  LLAMAJIT_REQUIRE_FILE(raw);
  const SpmTokenizer current_tokenizer(read_tokenizer_bin(current, 32000));
  const SpmTokenizer raw_tokenizer(read_tokenizer_bin(raw, 32000));
  for (const std::string& text : kRoundTrips) {
    EXPECT_EQ(raw_tokenizer.encode(text), current_tokenizer.encode(text));
  }
}

TEST(SpmLlama2Files, TheSmallVocabularyRoundTrips) {
  const std::string path = test::test_data("tok512.bin");
  LLAMAJIT_REQUIRE_FILE(path);
  const SpmTokenizer tokenizer(read_tokenizer_bin(path, 512));
  for (const std::string& text : kRoundTrips) {
    EXPECT_EQ(decode_all(tokenizer, tokenizer.encode(text)), text);
  }
}

}  // namespace
}  // namespace llamajit::spm_llama2_test
