// Pages that lie before all windows are given back, and no bit shows it.
#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/files/model_reader.h"
#include "runtime/forward/engine.h"
#include "runtime/generate/generate.h"
#include "tests/support/family_writer.h"
#include "tests/support/reference_model.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::windows_test {
namespace {

using Text = std::vector<TokenId>;

constexpr int kVocab = 100;
constexpr int kContext = 1500;
// Of layers with a window smaller than a page, of one without, and of one whose window is larger than a page.
constexpr std::size_t kSmall = 0, kAll = 1, kLarge = 2;

Text some_text(int length) {
  Text text;
  for (int i = 0; i < length; ++i) text.push_back((i * 37 + i / 11) % kVocab);
  return text;
}

class Windows : public ::testing::Test {
 protected:
  Windows()
      : temp_(test::family_gguf({.name = "llama"}, test::toy_config(64, 96, 4, 4, 2, kVocab, kContext, false),
                                23)
                  .content()),
        file_(read_model(temp_.path())) {
    file_.config.layers.assign(4, file_.config);
    file_.config.layers[0].window = 40;
    file_.config.layers[2].window = 300;
    file_.config.layers[3].window = 40;
  }
  EngineOptions options(int sequences = 1, int threads = 1) const {
    return {.isa = {jit::host_tiers().back()},
            .threads = threads,
            .precision = {jit::ElementType::f32},
            .sequences = sequences};
  }
  // Behind the last token, as an engine computes them that takes the tokens one by one.
  std::vector<float> logits_alone(const Text& text) const {
    Engine engine(file_, options());
    for (int pos = 0; pos < static_cast<int>(text.size()); ++pos) {
      engine.feed(text[static_cast<std::size_t>(pos)], pos, true);
    }
    return {engine.logits().begin(), engine.logits().end()};
  }
  static int held(const Engine& engine, std::size_t kind) {
    const PagePool& pool = engine.kv_cache().pool(kind);
    return pool.size() - pool.free();
  }

  test::TempFile temp_;
  ModelFile file_;
};

void expect_same_bits(std::span<const float> logits, const std::vector<float>& expected, const char* what) {
  EXPECT_EQ(std::memcmp(logits.data(), expected.data(), kVocab * sizeof(float)), 0) << what;
}

std::vector<float> step_alone(Engine& engine, Sequence& sequence, TokenId token) {
  Batch batch;
  batch.add(sequence, token, true);
  std::vector<float> result;
  engine.step(
      batch, [&](std::size_t, const RowOutput& row) { result.assign(row.logits.begin(), row.logits.end()); });
  return result;
}

TEST_F(Windows, LongTextsHaveTheLogitsOfPlainMathematics) {
  const Text text = some_text(700);
  const auto expected = test::reference_logits(file_, text);
  Engine engine(file_, options());
  engine.feed_each(text, 0, 0, [&](std::size_t pos, std::span<const float> logits) {
    for (std::size_t i = 0; i < kVocab; ++i) {
      ASSERT_NEAR(logits[i], expected[pos][i], 5e-4) << "position " << pos << ", logit " << i;
    }
  });
}

TEST_F(Windows, PromptsAndTeamsHaveTheBitsOfSingleTokens) {
  const Text text = some_text(kContext);
  const std::vector<float> expected = logits_alone(text);
  for (const int threads : {1, 3}) {
    Engine engine(file_, options(1, threads));
    engine.feed_all(text, 0);
    expect_same_bits(engine.logits(), expected, "a prompt");
  }
  Engine engine(file_, options(1, 3));  // more threads than K/V heads share the ranges of one
  for (int pos = 0; pos < kContext; ++pos) engine.feed(text[static_cast<std::size_t>(pos)], pos, true);
  expect_same_bits(engine.logits(), expected, "single tokens of a team");
}

TEST_F(Windows, KeepWhatTheySeeAndGiveTheRestBack) {
  Engine engine(file_, options());
  const KvCache& cache = engine.kv_cache();
  ASSERT_EQ(cache.kinds(), 3U);
  EXPECT_EQ(cache.window(kSmall), 40);
  EXPECT_EQ(cache.window(kAll), 0);
  EXPECT_EQ(cache.window(kLarge), 300);
  // Of the small window with 128 rows and 32 tokens that may be cut 198 positions, of the large one 458.
  EXPECT_EQ(cache.pool(kSmall).size(), 2);
  EXPECT_EQ(cache.pool(kAll).size(), 6);
  EXPECT_EQ(cache.pool(kLarge).size(), 3);
  const Text text = some_text(kContext);
  engine.feed_all(std::span(text).first(700), 0);
  EXPECT_EQ(held(engine, kAll), 3);
  for (int pos = 700; pos < kContext; ++pos) {
    engine.feed(text[static_cast<std::size_t>(pos)], pos, false);
    // From the first position that is seen 31 tokens before on, to this one.
    EXPECT_EQ(held(engine, kSmall), pos / 256 - (pos - 31 - 39) / 256 + 1) << "position " << pos;
    EXPECT_EQ(held(engine, kLarge), pos / 256 - (pos - 31 - 299) / 256 + 1) << "position " << pos;
  }
  EXPECT_EQ(held(engine, kAll), 6);
  engine.sequence().cut(0);
  EXPECT_EQ(cache.bytes_in_use(), 0);
}

// As a chat whose template leaves out what the last reply was.
TEST_F(Windows, APromptThatIsKeptIsTakenUp) {
  Engine engine(file_, options(2));
  const Text text = some_text(900);
  engine.feed_all(std::span(text).first(600), 0);
  const Sequence kept = engine.sequence().fork(600);
  engine.feed_all(std::span(text).subspan(600), 600);
  Text next(text.begin(), text.begin() + 600);
  next.insert(next.end(), {7, 8, 9});
  EXPECT_EQ(engine.sequence().seen_of(600), 0) << "pages are gone";
  take_up(engine, kept, next);
  EXPECT_EQ(engine.sequence().length(), 600);
  EXPECT_EQ(engine.sequence().seen(), 600);
  engine.feed_all(std::span(next).subspan(600), 600);
  expect_same_bits(engine.logits(), logits_alone(next), "taken up");
  // What the engine has itself, it goes on with.
  next.push_back(10);
  take_up(engine, kept, next);
  EXPECT_EQ(engine.sequence().length(), 603);
}

TEST_F(Windows, GenerationKeepsItsPrompt) {
  Engine engine(file_, options(2));
  Sampler sampler({.temperature = 0}, [&](std::span<float> x, float scale) { engine.softmax(x, scale); });
  std::optional<Sequence> kept;
  GenerationOptions how;
  how.max_tokens = 300;
  how.ends = {.bos = -1, .tokens = {}};
  how.kept = &kept;
  Text prompt = some_text(500);
  const auto ignore = [](TokenId) {};
  generate(engine, sampler, prompt, how, ignore);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->length(), 500);
  prompt.push_back(3);
  how.max_tokens = 1;
  generate(engine, sampler, prompt, how, ignore);
  EXPECT_EQ(kept->length(), 501);
  expect_same_bits(engine.logits(), logits_alone(prompt), "the next prompt");
}

// Of a text that goes on with the last one: what was taken up again is not told of twice, so that no reply depends on pages.
TEST_F(Windows, ASamplerIsToldOfEachTokenOnce) {
  const auto replies = [&](bool keeps) {
    Engine engine(file_, options(2));
    Sampler sampler({.temperature = 0, .repeat_penalty = 1.5F, .repeat_last_n = 32},
                    [&](std::span<float> x, float scale) { engine.softmax(x, scale); });
    std::optional<Sequence> kept;
    GenerationOptions how;
    how.max_tokens = 300;
    how.ends = {.bos = -1, .tokens = {}};
    if (keeps) how.kept = &kept;
    Text text = some_text(500), reply;
    generate(engine, sampler, text, how, [&](TokenId token) { text.push_back(token); });
    text.resize(520);
    text.push_back(3);
    how.max_tokens = 40;
    const Generation result =
        generate(engine, sampler, Text(text), how, [&](TokenId token) { reply.push_back(token); });
    EXPECT_EQ(result.fed_tokens, keeps ? 21 : 1);
    return reply;
  };
  EXPECT_EQ(replies(true), replies(false));
}

// Wherever a text ends, behind the begin of a page, too.
TEST_F(Windows, ShortCutsCostNothing) {
  Engine engine(file_, options());
  const Text text = some_text(kContext);
  for (int length = 700; length < 1300; ++length) {
    engine.feed_all(std::span(text).subspan(static_cast<std::size_t>(engine.sequence().length()),
                                            static_cast<std::size_t>(length - engine.sequence().length())),
                    engine.sequence().length());
    ASSERT_EQ(engine.sequence().fork(length - KvCache::kFreeCut).seen(), length - KvCache::kFreeCut);
    if (length % 3 == 0) engine.sequence().cut(length - 2);
    ASSERT_EQ(engine.sequence().seen(), engine.sequence().length());
  }
  const int at = engine.sequence().length() - KvCache::kFreeCut;
  Text cut(text.begin(), text.begin() + at);
  cut.push_back(5);
  engine.feed(5, at, true);
  expect_same_bits(engine.logits(), logits_alone(cut), "behind a cut");
}

TEST_F(Windows, DeepCutsAndForksAreFedAgain) {
  Engine engine(file_, options(3));
  const Text text = some_text(1400);
  engine.feed_all(text, 0);
  Sequence& first = engine.sequence();
  Sequence fork = first.fork(650);
  EXPECT_EQ(fork.length(), 650);
  EXPECT_EQ(fork.seen(), 0) << "its windows' pages are gone";
  EXPECT_EQ(first.fork(1400).seen(), 1400);
  Text of_fork(text.begin(), text.begin() + 650);
  of_fork.push_back(7);
  expect_same_bits(step_alone(engine, fork, 7), logits_alone(of_fork), "a fork");
  EXPECT_EQ(fork.seen(), 651);

  Text whole = text;
  whole.push_back(9);
  expect_same_bits(step_alone(engine, first, 9), logits_alone(whole), "what was forked");
  first.cut(900);
  EXPECT_EQ(first.seen(), 0);
  EXPECT_EQ(first.length(), 900);
  EXPECT_EQ(first.pages_needed(kAll, 1), 4);
  EXPECT_EQ(first.pages_needed(kSmall, 1), 2);
  EXPECT_EQ(first.fork(800).seen(), 0);
  Text cut(text.begin(), text.begin() + 900);
  cut.push_back(3);
  engine.feed(3, 900, true);
  expect_same_bits(engine.logits(), logits_alone(cut), "a cut");
}

// What the second run of a sequence's rows no longer sees the first one does.
TEST_F(Windows, RowsOfAStepMayComeInSeveralRuns) {
  Engine engine(file_, options(2));
  const Text text = some_text(390);
  engine.feed_all(std::span(text).first(290), 0);
  Sequence other = engine.new_sequence();
  Batch batch;
  batch.add(engine.sequence(), std::span(text).subspan(290, 60), 59);
  batch.add(other, 1, true);
  batch.add(engine.sequence(), std::span(text).subspan(350, 40), 39);
  std::vector<std::vector<float>> logits;
  engine.step(batch, [&](std::size_t, const RowOutput& row) {
    logits.emplace_back(row.logits.begin(), row.logits.end());
  });
  ASSERT_EQ(logits.size(), 3U);
  expect_same_bits(logits[0], logits_alone({text.begin(), text.begin() + 350}), "the first run");
  expect_same_bits(logits[1], logits_alone({1}), "the row between");
  expect_same_bits(logits[2], logits_alone(text), "the second run");
}

TEST_F(Windows, RefusalsNameTheLayers) {
  Engine engine(file_, options());
  Sequence one = engine.new_sequence(), two = engine.new_sequence(), three = engine.new_sequence();
  step_alone(engine, one, 1);
  step_alone(engine, two, 1);
  try {
    step_alone(engine, three, 1);
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "KV cache: expected 1 free pages of layers with a window of 40, found 0 of 2");
  }
  EXPECT_EQ(three.length(), 0);
  EXPECT_EQ(held(engine, kAll), 2);
}

// 34 layers, of which each sixth attends to everything and the others to 1024 positions.
Config gemma3_4b() {
  Config config = test::toy_config(2560, 10240, 34, 8, 4, 262144, 8192, true);
  config.head_size = 256;
  config.layers.assign(34, config);
  for (std::size_t i = 0; i < 34; ++i) config.layers[i].window = i % 6 == 5 ? 0 : 1024;
  return config;
}

// How much the pages in use take for each byte that the windows need.
double use(const KvCache& cache, int length) {
  return static_cast<double>(cache.bytes_in_use()) / static_cast<double>(cache.bytes_read_at(length - 1));
}

TEST(WindowsMemory, IsLittleMoreThanTheWindowsNeed) {
  KvCache cache(gemma3_4b(), 8192, {.sequences = 1}, jit::ElementType::f16, 128);
  EXPECT_EQ(cache.bytes_read_at(7999), (29 * 1024LL + 5 * 8000LL) * 4 * 256 * 2 * 2);
  const Text tokens(128, 1);
  Sequence prompt(cache);
  const auto append = [&](Sequence& sequence, int n) {
    sequence.make_room(n);
    sequence.append(std::span(tokens).first(static_cast<std::size_t>(n)));
  };
  while (prompt.length() < 8000) append(prompt, std::min(128, 8000 - prompt.length()));
  EXPECT_LE(use(cache, 8000), 1.15) << "behind a prompt";
  prompt.cut(0);
  double sum = 0;
  for (int length = 1; length <= 8000; ++length) {
    append(prompt, 1);
    if (length > 8000 - 256) sum += use(cache, length);
  }
  EXPECT_LE(use(cache, 8000), 1.15) << "behind single tokens";
  EXPECT_LE(sum / 256, 1.15) << "wherever in a page a text ends, on average";
}

}  // namespace
}  // namespace llamajit::windows_test
