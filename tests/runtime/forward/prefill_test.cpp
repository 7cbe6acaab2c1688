// A prompt's chunks against its tokens one by one: the same logits and the same text after them, bit for bit.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/base/tile_permission.h"
#include "runtime/files/llama2c.h"
#include "runtime/forward/engine.h"
#include "runtime/forward/rows_program.h"
#include "tests/support/checkpoint_writer.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_file.h"
#include "tests/support/tile_emulator.h"
#include "tests/support/toy_model.h"

namespace llamajit::prefill_test {
namespace {

using test::kSanitized;
using test::TempFile;
using test::toy_config;

constexpr int kDecoded = 3;  // tokens fed one by one behind each prompt

struct Shape {
  Config config;
  std::vector<int> groups;  // of its v2 checkpoints
};

std::string name_of(const Config& c) {
  return fmt::format("dim {} hidden {} heads {}/{} vocab {}", c.dim, c.hidden_dim, c.n_heads, c.n_kv_heads,
                     c.vocab_size);
}

// Heads that threads can share as whole tiles and heads that they can't; rows that no vector divides.
std::vector<Shape> shapes() {
  return {
      {toy_config(64, 172, 2, 8, 4, 128, 64, true), {4}},
      {toy_config(44, 172, 2, 11, 11, 65, 64, true), {4, 2}},
      {toy_config(172, 44, 2, 43, 1, 33, 64, false), {4}},  // one K/V head for 43
      {toy_config(288, 768, 1, 6, 6, 48, 64, true), {32}},  // heads of 48: whole tiles for 1, 2 and 3 threads
      {toy_config(288, 96, 2, 9, 3, 33, 64, false), {32, 3}},  // heads of 32
      {toy_config(12, 20, 3, 6, 3, 17, 64, true), {4, 1}},     // heads of 2
      {toy_config(18, 30, 2, 3, 1, 16, 64, false), {6}},
      {toy_config(80, 64, 2, 5, 5, 40, 64, true), {16}},  // heads of 16: whole tiles for five threads
      {toy_config(2, 1, 1, 1, 1, 3, 64, true), {1}},
  };
}

TokenId token_at(int pos, const Config& c) {
  return (pos * 31 + 1) % c.vocab_size;
}

std::vector<TokenId> tokens_from(int pos, int n, const Config& c) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < n; ++i) tokens.push_back(token_at(pos + i, c));
  return tokens;
}

std::vector<float> logits_of(Engine& engine) {
  return {engine.logits().begin(), engine.logits().end()};
}

// Returns what a model says at every position when it is fed one token at a time.
std::vector<std::vector<float>> one_by_one(const ModelFile& file, int n, const Precision& precision) {
  Engine engine(file, {{jit::host_tiers().back()}, 1, 0, precision});
  std::vector<std::vector<float>> logits;
  for (int pos = 0; pos < n; ++pos) {
    engine.feed(token_at(pos, file.config), pos, true);
    logits.push_back(logits_of(engine));
    for (const float logit : logits.back()) EXPECT_TRUE(std::isfinite(logit));
  }
  return logits;
}

::testing::AssertionResult same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0) {
    return ::testing::AssertionSuccess();
  }
  const auto at = std::ranges::mismatch(a, b).in1 - a.begin();
  return ::testing::AssertionFailure() << "logits differ first at " << at;
}

// One model, its measure, and engines that are held against it.
class Prompts {
 public:
  Prompts(const std::string& content, int positions, const Precision& precision = {})
      : temp_(content),
        file_(read_llama2c(temp_.path())),
        precision_(precision),
        expected_(one_by_one(file_, positions, precision)) {}

  const Config& config() const { return file_.config; }
  EngineOptions options(jit::Tier tier, int threads, int context = 0) const {
    return {{tier}, threads, context, precision_};
  }
  const ModelFile& file() const { return file_; }
  // Feeds n tokens at once at `pos`, all before it fed, and then some one by one.
  void expect_same(Engine& engine, int n, int pos) const {
    SCOPED_TRACE(fmt::format("{}, {} tokens at {}, tier {}, {} threads", file_.file_format, n, pos,
                             to_string(engine.code().isa().tier), engine.threads()));
    const int end = std::min(pos + n + kDecoded, static_cast<int>(expected_.size()));
    // Another text first: what an earlier call left in the cache must not make this one right.
    for (int p = pos; p < end; ++p)
      engine.feed((token_at(p, file_.config) + 1) % file_.config.vocab_size, p, false);
    engine.feed_all(tokens_from(pos, n, file_.config), pos);
    ASSERT_TRUE(same_bits(logits_of(engine), at(pos + n - 1)));
    for (int p = pos + n; p < end; ++p) {
      engine.feed(token_at(p, file_.config), p, true);
      ASSERT_TRUE(same_bits(logits_of(engine), at(p))) << "decoding at " << p;
    }
  }

 private:
  const std::vector<float>& at(int pos) const { return expected_[static_cast<std::size_t>(pos)]; }

  TempFile temp_;
  ModelFile file_;
  Precision precision_;
  std::vector<std::vector<float>> expected_;
};

// Lengths up to 40 that cross the ends of blocks of 4, 8, 16 and 32 tokens.
std::vector<int> lengths(bool most) {
  if (kSanitized) return {1, 14, 27, 40};
  std::vector<int> all = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const std::vector<int> more =
      most ? std::vector{10, 11, 12, 13, 15, 16, 17, 18, 23, 24, 25, 31, 32, 33, 39, 40}
           : std::vector{10, 15, 20, 33, 40};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

void check_everywhere(const std::string& content) {
  const Prompts prompts(content, 40 + kDecoded);
  const std::vector<jit::Tier> tiers = jit::host_tiers();
  for (const jit::Tier tier : tiers) {
    for (const int threads : {1, 2, 3, 5}) {
      if (tier == jit::Tier::scalar && (threads > 2 || kSanitized)) continue;
      Engine engine(prompts.file(), prompts.options(tier, threads));
      for (const int n : lengths(tier == tiers.back() && threads < 5)) {
        prompts.expect_same(engine, n, 0);
        if (::testing::Test::HasFailure()) return;
      }
    }
  }
}

class PrefillShapes : public ::testing::TestWithParam<std::size_t> {};

TEST_P(PrefillShapes, ChunksGiveTheBitsOfSingleTokens) {
  const Shape shape = shapes()[GetParam()];
  SCOPED_TRACE(name_of(shape.config));
  const auto weights = test::random_weights(shape.config, GetParam());
  check_everywhere(write_v0(weights));
  for (const int group : shape.groups) check_everywhere(write_v2(weights, group));
}

INSTANTIATE_TEST_SUITE_P(All, PrefillShapes, ::testing::Range(std::size_t{0}, shapes().size()));

// Lengths and positions that cross the ends of blocks of tokens, of groups of positions and of chunks.
struct Stored {
  int group;  // of the weights; 0: f32
  jit::ElementType type;
  Bf16Products bf16 = Bf16Products::none;
};
class PrefillPositions : public ::testing::TestWithParam<Stored> {
 protected:
  static Prompts prompts_of(const Config& config, std::uint64_t seed, int positions) {
    const auto weights = test::random_weights(config, seed);
    const auto [group, type, bf16] = GetParam();
    return {group == 0 ? write_v1(weights) : write_v2(weights, group), positions, {type, bf16}};
  }
};

TEST_P(PrefillPositions, LaterPositionsAndLongPrompts) {
  const Prompts prompts = prompts_of(toy_config(48, 80, 2, 6, 3, 61, 400, true), 11, 400);
  for (const jit::Tier tier : jit::host_tiers()) {
    for (const int threads : {1, 2, 3, 5}) {
      if (tier == jit::Tier::scalar && (threads > 2 || kSanitized)) continue;
      Engine engine(prompts.file(), prompts.options(tier, threads));
      for (const int n : {1, 2, 3, 7, 8, 9, 127, 128, 129, 130, 131, 300}) {
        prompts.expect_same(engine, n, 0);
        if (::testing::Test::HasFailure()) return;
      }
      // Everything up to 300 stands in the cache now; later prompts may begin anywhere in it.
      for (const int pos : {1, 2, 15, 16, 17, 100, 127, 128, 200}) {
        for (const int n : {1, 2, 3, 9, 31, 129}) {
          prompts.expect_same(engine, n, pos);
          if (::testing::Test::HasFailure()) return;
        }
      }
    }
  }
}

TEST_P(PrefillPositions, PromptsInPieces) {
  const Prompts prompts = prompts_of(toy_config(48, 80, 2, 6, 3, 61, 400, true), 12, 400);
  Engine engine(prompts.file(), prompts.options(jit::host_tiers().back(), 2));
  int pos = 0;
  for (const int n : {5, 1, 3, 20, 2, 130, 8, 4, 150, 77}) {
    engine.feed_all(tokens_from(pos, n, prompts.config()), pos);
    pos += n;
    if (pos < 400) prompts.expect_same(engine, 1, pos++);
    if (HasFailure()) return;
    if (pos + 160 > 400) break;
  }
}

TEST_P(PrefillPositions, UpToTheLastPositionOfTheContext) {
  for (const int context : {1, 2, 3, 8, 15, 16, 17, 33, 127, 128, 129, 131, 140}) {
    const Prompts prompts = prompts_of(toy_config(48, 80, 1, 6, 3, 61, 140, false), 13, context);
    for (const int threads : {1, 3}) {
      Engine engine(prompts.file(), prompts.options(jit::host_tiers().back(), threads, context));
      prompts.expect_same(engine, context, 0);
      for (const int n : {1, 3, 9}) {
        if (n < context) prompts.expect_same(engine, n, context - n);
      }
    }
  }
}

constexpr Stored kStored[] = {{0, jit::ElementType::f32},
                              {0, jit::ElementType::f16},
                              {0, jit::ElementType::q8_0},
                              {16, jit::ElementType::bf16},
                              {4, jit::ElementType::f16},
                              {4, jit::ElementType::q8_0},
                              {0, jit::ElementType::f16, Bf16Products::all_floats}};

std::string stored_name(const ::testing::TestParamInfo<Stored>& stored) {
  static constexpr const char* kTypes[] = {"f32", "f16", "bf16", "q8_0"};
  return fmt::format("group_{}_cache_{}{}", stored.param.group, kTypes[static_cast<int>(stored.param.type)],
                     stored.param.bf16 == Bf16Products::none ? "" : "_rounded");
}

INSTANTIATE_TEST_SUITE_P(Formats, PrefillPositions, ::testing::ValuesIn(kStored), stored_name);

// Each thread has tiles of its own, and none of them outlives a call.
TEST(Prefill, TilesGiveTheBitsOfSingleTokens) {
  if (!test::tile_kernels_run()) GTEST_SKIP() << "this CPU lacks what stands beside tiles";
  const std::uint64_t before = test::emulated_instructions();
  const Prompts prompts(write_v2(test::random_weights(toy_config(64, 96, 2, 4, 2, 100, 64, false), 16), 32),
                        43);
  for (const int threads : {1, 3}) {
    Engine engine(prompts.file(), prompts.options(jit::Tier::avx512amx, threads));
    for (const int n : {1, 16, 17, 24, 25, 33, 40}) prompts.expect_same(engine, n, 0);
  }
  EXPECT_TRUE(test::emulated_instructions() > before || !jit::tiles_refused()) << "no tiles were used";
}

TEST(Prefill, ArgmaxIsThatOfTheLastToken) {
  const TempFile temp(write_v1(test::random_weights(toy_config(64, 96, 1, 4, 2, 100, 64, false), 14)));
  const ModelFile file = read_llama2c(temp.path());
  Engine engine(file, {{jit::host_tiers().back()}, 2, 0});
  for (const int n : {1, 3, 5, 8, 33}) {
    engine.feed_all(tokens_from(0, n, file.config), 0);
    const auto best = std::ranges::max_element(engine.logits()) - engine.logits().begin();
    EXPECT_EQ(engine.argmax(), best) << n;
  }
}

TEST(Prefill, AWalkAloneSeesAllCalls) {
  const Config c = toy_config(64, 96, 2, 4, 2, 100, 64, false);
  const TempFile temp(write_v2(test::random_weights(c, 15), 32));
  const ModelFile file = read_llama2c(temp.path());
  Engine engine(file, {{jit::host_tiers().back()}, 1, 0});
  const std::vector<TokenId> tokens = tokens_from(0, 19, c);
  const auto row = [&] {
    const float* const last = engine.rows().x + 18 * jit::row_stride(64);
    return std::vector<float>(last, last + 64);
  };
  Batch batch;
  batch.add(engine.sequence(), tokens, 19);
  std::vector<std::string> names;
  walk_alone(engine.rows_program(19).feed, engine.place(batch.rows()),
             [&](const Step&, const Target& target, const void* args) {
               names.push_back(target.kernel->name);
               target.call(args);
             });
  const std::vector<float> observed = row();
  engine.sequence().cut(0);
  engine.step(batch, [](std::size_t, const RowOutput&) { ADD_FAILURE() << "nobody wanted logits"; });
  EXPECT_TRUE(same_bits(observed, row()));
  const auto count = [&](const std::string& prefix) {
    return std::ranges::count_if(names, [&](const auto& name) { return name.starts_with(prefix); });
  };
  EXPECT_EQ(count("embed"), 19);
  EXPECT_EQ(count("rmsnorm"), 2 * 2 * 19);
  EXPECT_EQ(count("quantize"), 2 * 4 * 19);
  EXPECT_EQ(count("matmul"), 2 * 6);
  EXPECT_EQ(count("rope"), 2 * 2);
  EXPECT_EQ(count("kv_append"), 2);
  // Two K/V heads, each with two tiles of eight tokens and three single tokens.
  EXPECT_EQ(count("attention"), 2 * 2 * (2 + 3));
  EXPECT_EQ(std::ssize(names), 19 * (1 + 2 * (2 + 4)) + 2 * (6 + 2 + 1 + 2 * (2 + 3)));
}

}  // namespace
}  // namespace llamajit::prefill_test
