// Texts that nobody meant, drawn from random logits: whatever the model says, they are valid by the schema.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/grammar/constraint.h"
#include "runtime/grammar/json_schema.h"
#include "tests/runtime/grammar/schemas.h"

namespace llamajit::sampled_texts_test {
namespace {

// All bytes, JSON's structure as models have it, and some words.
Vocab vocab() {
  std::vector<Piece> pieces{
      {"<unk>", 0, PieceKind::unknown}, {"<s>", 0, PieceKind::control}, {"</s>", 0, PieceKind::control}};
  for (int byte = 0; byte < 256; ++byte)
    pieces.push_back({std::string(1, static_cast<char>(byte)), 0, PieceKind::byte});
  for (const std::string_view piece : {"{\"",
                                       "\":",
                                       "\": ",
                                       ": \"",
                                       "\", \"",
                                       "\",\"",
                                       "\"}",
                                       "\"},",
                                       "]}",
                                       "}}",
                                       "},{",
                                       "[{",
                                       "[]",
                                       "{}",
                                       ", ",
                                       ",\n",
                                       "\":[",
                                       "null",
                                       "true",
                                       "false",
                                       "tr",
                                       "nul",
                                       "12",
                                       "2024",
                                       "00",
                                       "-1",
                                       ".5",
                                       "e1",
                                       "0.0",
                                       "name",
                                       "age",
                                       "value",
                                       "children",
                                       "kind",
                                       "next",
                                       "circle",
                                       " the",
                                       "hello",
                                       "한",
                                       "\xED\x95",
                                       "é",
                                       "\\n",
                                       "\\u",
                                       "\\\"",
                                       "d8",
                                       "00e9",
                                       "\\ud83d\\ude00",
                                       "    ",
                                       "\n\n",
                                       "\t"}) {
    pieces.push_back({std::string(piece)});
  }
  return Vocab(std::move(pieces));
}

class Texts {
 public:
  explicit Texts(unsigned seed) : random_(seed) {}

  // A text of the grammar, at temperature 1; empty where it has not ended after so many tokens.
  std::string draw(const std::shared_ptr<Masks>& masks) {
    constexpr int kMostTokens = 1500;
    Constraint constraint(masks);
    std::string text;
    // What closes is likelier the longer the text is, or texts would be endless.
    for (int step = 0; step < kMostTokens; ++step) {
      std::vector<float> logits = some_logits(step);
      constraint.mask(logits);
      const TokenId token = sample(logits);
      constraint.accept(token);
      if (token == Vocab::kEos || token == Vocab::kBos) return text;
      text += vocab_[token].bytes;
      if (constraint.must_end()) return text;
    }
    return "";
  }

  const Vocab& words() const { return vocab_; }

 private:
  std::vector<float> some_logits(int step) {
    std::vector<float> logits(static_cast<std::size_t>(vocab_.size()));
    for (float& logit : logits) logit = std::normal_distribution<float>(0, 2)(random_);
    for (const TokenId token : {3 + '"', 3 + '}', 3 + ']', 2}) {
      logits[static_cast<std::size_t>(token)] += std::min(3.0F + static_cast<float>(step) * 0.05F, 30.0F);
    }
    return logits;
  }

  TokenId sample(const std::vector<float>& logits) {
    double sum = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
    double rest = std::uniform_real_distribution<double>(0, sum)(random_);
    TokenId last = -1;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      if (std::isinf(logits[i])) continue;
      last = static_cast<TokenId>(i);
      rest -= std::exp(static_cast<double>(logits[i]));
      if (rest <= 0) break;
    }
    return last;
  }

  Vocab vocab_ = vocab();
  std::mt19937 random_;
};

TEST(SampledTexts, AreValidByTheirSchema) {
  constexpr int kTexts = 100;
  const std::string lines_path = fmt::format("{}/llamajit-sampled-texts-{}", ::testing::TempDir(), getpid());
  std::ofstream lines(lines_path);
  Texts texts(11);
  const auto trie = std::make_shared<const TokenTrie>(texts.words());
  int drawn = 0, unfinished = 0;
  for (const std::string_view schema : test::kSchemas) {
    const auto masks = std::make_shared<Masks>(parse_json_schema(schema, "schema"), trie);
    for (int i = 0; i < kTexts; ++i) {
      const std::string text = texts.draw(masks);
      if (text.empty()) {
        ++unfinished;
        continue;
      }
      ++drawn;
      ASSERT_NO_THROW(nlohmann::json::parse(text)) << schema << ": " << text;
      lines << nlohmann::json::array({nlohmann::json::parse(schema), text}).dump() << "\n";
    }
  }
  lines.close();
  EXPECT_GT(drawn, 4000);
  EXPECT_LT(unfinished, 100);

  const std::string script = LLAMAJIT_SOURCE_DIR "/tests/runtime/grammar/validate.py";
  const int status = std::system(fmt::format("python3 -B '{}' < '{}' >&2", script, lines_path).c_str());
  std::remove(lines_path.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127) {
    GTEST_SKIP() << "no python3 with python3-jsonschema to check the texts by";
  }
  EXPECT_EQ(WEXITSTATUS(status), 0) << "invalid texts are above";
}

}  // namespace
}  // namespace llamajit::sampled_texts_test
