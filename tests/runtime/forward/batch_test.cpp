// Several sequences in a step: every row's logits have the bits that it has alone.
#include "runtime/forward/batch.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/files/llama2c.h"
#include "runtime/files/model_reader.h"
#include "runtime/forward/engine.h"
#include "tests/support/checkpoint_writer.h"
#include "tests/support/family_writer.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::batch_test {
namespace {

using Text = std::vector<TokenId>;

using test::kSanitized;
using test::TempFile;
using test::toy_config;
using test::write_v2;

constexpr int kVocab = 100;

// A text's logits after its last token, of an engine that knows nothing else.
class Alone {
 public:
  Alone(const ModelFile& file, jit::ElementType type)
      : engine_(file, {.isa = {jit::host_tiers().back()}, .precision = {type}}) {}
  const std::vector<float>& logits(const Text& text) {
    const auto [known, is_new] = known_.try_emplace(text);
    if (is_new) {
      const int held = std::min(engine_.sequence().common_length(text), static_cast<int>(text.size()) - 1);
      for (int pos = held; pos < static_cast<int>(text.size()); ++pos) {
        engine_.feed(text[static_cast<std::size_t>(pos)], pos, true);
      }
      known->second.assign(engine_.logits().begin(), engine_.logits().end());
    }
    return known->second;
  }

 private:
  Engine engine_;
  std::map<Text, std::vector<float>> known_;
};

// Sequences that grow, fork, are cut and end at random, in steps of random rows.
class Mix {
 public:
  Mix(const ModelFile& file, Alone& alone, const EngineOptions& options, int longest_piece)
      : alone_(alone),
        engine_(file, options),
        random_(static_cast<unsigned>(options.threads) + 7),
        longest_piece_(longest_piece) {}

  void step() {
    change_sequences();
    Batch batch;
    std::vector<Text> texts;  // of each row, with its own token
    std::map<Sequence*, Text> now;
    int free = engine_.kv_cache().pool(0).free();
    for (int pieces = 1 + below(6); pieces > 0; --pieces) {
      Sequence& sequence = sequences_[static_cast<std::size_t>(below(static_cast<int>(sequences_.size())))];
      Text& text =
          now.try_emplace(&sequence, sequence.tokens().begin(), sequence.tokens().end()).first->second;
      const int tokens = below(3) > 0 ? 1 : 1 + below(longest_piece_);
      if (static_cast<int>(text.size()) + tokens > engine_.context()) continue;
      free -= 2;  // at the most: a new page and a copy
      if (free < 0) break;
      for (int i = 0; i < tokens; ++i) {
        text.push_back(below(kVocab));
        batch.add(sequence, text.back(), i == tokens - 1 || below(8) == 0);
        texts.push_back(text);
      }
    }
    std::size_t seen = 0;
    engine_.step(batch, [&](std::size_t row, const RowOutput& logits) {
      ++seen;
      const std::vector<float>& expected = alone_.logits(texts[row]);
      ASSERT_EQ(std::memcmp(logits.logits.data(), expected.data(), kVocab * sizeof(float)), 0)
          << "row " << row << " of " << texts.size() << ", position " << texts[row].size() - 1;
      ASSERT_EQ(logits.best, std::ranges::max_element(expected) - expected.begin());
    });
    const auto wanted =
        std::ranges::count_if(batch.rows(), [](const Batch::Row& row) { return row.wants_logits; });
    EXPECT_EQ(static_cast<std::ptrdiff_t>(seen), wanted);
    for (const auto& [sequence, text] : now) EXPECT_TRUE(std::ranges::equal(sequence->tokens(), text));
  }

  void end() {
    sequences_.clear();
    EXPECT_EQ(engine_.kv_cache().bytes_in_use(), 0) << "all pages were given back";
  }

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }

  void change_sequences() {
    if (sequences_.empty() || (sequences_.size() < 4 && below(3) == 0)) {
      sequences_.push_back(engine_.new_sequence());
    }
    Sequence& one = sequences_[static_cast<std::size_t>(below(static_cast<int>(sequences_.size())))];
    switch (below(6)) {
      case 0:
        one.cut(below(one.length() + 1));
        break;
      case 1:
        if (sequences_.size() < 6) sequences_.push_back(one.fork(below(one.length() + 1)));
        break;
      case 2:
        if (sequences_.size() > 1) sequences_.pop_back();
        break;
      default:
        break;
    }
  }

  Alone& alone_;
  Engine engine_;
  std::mt19937 random_;
  int longest_piece_;
  std::vector<Sequence> sequences_;
};

class Batches : public ::testing::TestWithParam<jit::ElementType> {
 protected:
  Batches()
      : temp_(write_v2(test::random_weights(toy_config(64, 96, 2, 4, 2, kVocab, 600, false), 21), 32)),
        file_(read_llama2c(temp_.path())) {}

  TempFile temp_;
  ModelFile file_;
};

void expect_the_bits_of_single_rows(const ModelFile& file, jit::ElementType type, int sequences = 6,
                                    int longest_piece = 40) {
  Alone alone(file, type);
  const std::vector<jit::Tier> tiers = jit::host_tiers();
  for (const jit::Tier tier : tiers) {
    for (const int threads : {1, 2, 3}) {
      if (kSanitized && threads != 2) continue;
      SCOPED_TRACE(fmt::format("tier {}, {} threads", to_string(tier), threads));
      Mix mix(file, alone, {.isa = {tier}, .threads = threads, .precision = {type}, .sequences = sequences},
              longest_piece);
      const int steps = kSanitized || tier == jit::Tier::scalar ? 8 : 40;
      for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) mix.step();
      mix.end();
      if (testing::Test::HasFailure()) return;
    }
  }
}

TEST_P(Batches, EveryRowHasTheBitsThatItHasAlone) {
  expect_the_bits_of_single_rows(file_, GetParam());
}

// Layers with a state, which cannot be cut back as keys and values can.
TEST(BatchesOfHybrids, EveryRowHasTheBitsThatItHasAlone) {
  const test::FamilyFile& family = *std::ranges::find(test::kFamilyFiles, "qwen35", &test::FamilyFile::name);
  const TempFile temp(family_gguf(family, toy_config(64, 96, 5, 4, 2, kVocab, 600, false), 22).content());
  expect_the_bits_of_single_rows(read_model(temp.path()), jit::ElementType::f32);
}

// Layers with windows smaller and larger than a page, whose pages are given back and fed again.
TEST(BatchesOfWindows, EveryRowHasTheBitsThatItHasAlone) {
  const TempFile temp(
      test::family_gguf({.name = "llama"}, toy_config(64, 96, 4, 4, 2, kVocab, 1500, false), 24).content());
  ModelFile file = read_model(temp.path());
  file.config.layers.assign(4, file.config);
  file.config.layers[0].window = 40;
  file.config.layers[2].window = 300;
  file.config.layers[3].window = 40;
  expect_the_bits_of_single_rows(file, jit::ElementType::f16, 20, 200);
}

INSTANTIATE_TEST_SUITE_P(KvTypes, Batches,
                         ::testing::Values(jit::ElementType::f32, jit::ElementType::f16,
                                           jit::ElementType::bf16, jit::ElementType::q8_0));

// Texts are taken up again before and behind a prompt's last piece without anything fed twice; elsewhere from
// the place before.
TEST(BatchesOfHybrids, StatesAreKeptAroundPrompts) {
  const test::FamilyFile& family = *std::ranges::find(test::kFamilyFiles, "qwen35", &test::FamilyFile::name);
  const TempFile temp(family_gguf(family, toy_config(64, 96, 5, 4, 2, kVocab, 600, false), 22).content());
  Engine engine(read_model(temp.path()), {.isa = {jit::host_tiers().back()}});
  Sequence& text = engine.sequence();
  engine.feed_all(Text(20, 3), 0);
  engine.feed_all(Text(200, 4), 20);  // in two chunks
  for (int pos = 220; pos < 230; ++pos) engine.feed(5, pos, false);
  EXPECT_EQ(text.seen(), 230);
  EXPECT_EQ(text.fork(225).seen(), 220);
  EXPECT_EQ(text.fork(219).seen(), 20);
  EXPECT_EQ(text.fork(19).seen(), 0);
  text.cut(220);
  EXPECT_EQ(text.seen(), 220);
  text.cut(150);
  EXPECT_EQ(text.seen(), 20);
  EXPECT_EQ(text.length(), 150);
  engine.feed(7, 150, true);
  EXPECT_EQ(text.seen(), 151);
}

class Sequences : public Batches {};

TEST_P(Sequences, ShareTheirBeginningUntilTheyWrite) {
  Engine engine(file_, {.isa = {jit::host_tiers().back()}, .precision = {GetParam()}, .sequences = 2});
  const PagePool& pages = engine.kv_cache().pool(0);
  Text text;
  for (int i = 0; i < 300; ++i) text.push_back(i % kVocab);
  engine.feed_all(text, 0);
  EXPECT_EQ(pages.size() - pages.free(), 2);
  Sequence other = engine.sequence().fork(300);
  EXPECT_EQ(pages.size() - pages.free(), 2) << "both are shared";
  EXPECT_EQ(other.pages_needed(0, 1), 1) << "a copy of the second";
  Batch batch;
  batch.add(other, 5, true);
  engine.step(batch, [](std::size_t, const RowOutput&) {});
  EXPECT_EQ(pages.size() - pages.free(), 3);
  EXPECT_EQ(other.cursor(0, 0).pages[0], engine.sequence().cursor(0, 0).pages[0]);
  EXPECT_NE(other.cursor(0, 0).pages[1], engine.sequence().cursor(0, 0).pages[1]);
  other.cut(256);
  EXPECT_EQ(pages.size() - pages.free(), 2);
  EXPECT_EQ(other.length(), 256);
}

TEST_P(Sequences, ThatDoNotFitAreRefusedWithNothingChanged) {
  Engine engine(file_, {.isa = {jit::host_tiers().back()}, .context = 256, .precision = {GetParam()}});
  Sequence other = engine.new_sequence();
  const auto message = [&](const Batch& batch) -> std::string {
    try {
      engine.step(batch, [](std::size_t, const RowOutput&) {});
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  Batch long_one;
  long_one.add(other, Text(257, 1), 0);
  EXPECT_EQ(message(long_one), "sequence: expected at most 256 tokens (the context), found 257");
  Batch two;
  two.add(engine.sequence(), 1, true);
  two.add(other, 1, true);
  EXPECT_EQ(message(two), "KV cache: expected 2 free pages, found 1 of 1");
  EXPECT_EQ(other.length(), 0);
  EXPECT_EQ(engine.sequence().length(), 0);
}

INSTANTIATE_TEST_SUITE_P(KvTypes, Sequences,
                         ::testing::Values(jit::ElementType::f32, jit::ElementType::q8_0));

}  // namespace
}  // namespace llamajit::batch_test
