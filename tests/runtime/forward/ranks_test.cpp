// Engines that run a model together: the same bits on any number of ranks.
#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/convert/quantization.h"
#include "runtime/files/llama2c.h"
#include "runtime/files/model_reader.h"
#include "runtime/forward/engine.h"
#include "runtime/forward/packed_file.h"
#include "runtime/measure/verify.h"
#include "tests/support/family_writer.h"
#include "tests/support/quantization_choice.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_file.h"
#include "tests/support/thread_ranks.h"
#include "tests/support/toy_model.h"

namespace llamajit::ranks_test {
namespace {

using test::run_ranks;
using test::TempFile;
using test::ThreadRanks;
using test::toy_config;

std::vector<TokenId> some_tokens(const Config& config, int n) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < n; ++i) tokens.push_back((i * 31 + 1) % config.vocab_size);
  return tokens;
}

// All that an engine gives for a prompt, for tokens behind it, and for sequences that part there.
std::vector<float> outputs_of(Engine& engine) {
  const Config& config = engine.config();
  std::vector<float> all;
  const Engine::SeeRow see = [&](std::size_t row, const RowOutput& output) {
    all.push_back(static_cast<float>(row));
    all.insert(all.end(), output.logits.begin(), output.logits.end());
    all.insert(all.end(), output.hidden.begin(), output.hidden.end());
    if (!output.logits.empty()) all.push_back(static_cast<float>(output.best));
  };
  if (!config.causal) {
    Sequence text = engine.new_sequence(), other = engine.new_sequence();
    Batch batch;
    batch.add_hidden(text, some_tokens(config, 11), 0);
    batch.add_hidden(other, some_tokens(config, 1), 0);
    engine.step(batch, see);
    return all;
  }
  const auto keep = [&] {
    all.insert(all.end(), engine.logits().begin(), engine.logits().end());
    all.push_back(static_cast<float>(engine.argmax()));
  };
  engine.feed_all(some_tokens(config, 18), 0);  // more rows than matvec takes
  keep();
  engine.feed(3, 18, true);
  keep();
  engine.feed(4, 19, false);
  Sequence fork = engine.sequence().fork(17);
  fork.cut(15);
  Sequence late = engine.new_sequence();
  late = fork.fork(9);
  Batch batch;
  batch.add(engine.sequence(), 5, true);
  batch.add(fork, some_tokens(config, 3), 1);
  batch.add(late, 7, true);
  engine.step(batch, see);
  Sequence moved = std::move(late);
  engine.sequence() = fork.fork(16);
  batch.clear();
  batch.add(moved, 9, true);
  batch.add(engine.sequence(), 2, true);
  engine.step(batch, see);
  batch.clear();
  batch.add(fork, 11, true);
  engine.step(batch, see);
  return all;
}

std::vector<float> alone(const ModelFile& file, const EngineOptions& options) {
  Engine engine(file, options);
  return outputs_of(engine);
}

EngineOptions options_of(int threads, const Precision& precision = {}) {
  return {.isa = {jit::host_tiers().back()}, .threads = threads, .precision = precision, .sequences = 5};
}

void expect_same_bits(const ModelFile& file, int ranks, const EngineOptions& options,
                      const std::vector<float>& expected) {
  run_ranks(file, ranks, options, [&](Engine& engine, ThreadRanks& /*link*/) {
    const std::vector<float> found = outputs_of(engine);
    ASSERT_EQ(found.size(), expected.size());
    EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)), 0)
        << ranks << " ranks of " << options.threads << " threads";
  });
}

class Families : public ::testing::TestWithParam<test::FamilyFile> {};

TEST_P(Families, GiveTheSameBitsOnSeveralRanks) {
  const TempFile temp(family_gguf(GetParam(), small_config(GetParam()), 4).content());
  const ModelFile file = read_model(temp.path());
  const std::vector<float> expected = alone(file, options_of(1));
  // Two with threads, or more than there are K/V heads.
  GetParam().experts > 0 || GetParam().latent || GetParam().parallel
      ? expect_same_bits(file, 3, options_of(1), expected)
      : expect_same_bits(file, 2, options_of(2), expected);
}

std::vector<test::FamilyFile> all_files() {
  std::vector<test::FamilyFile> all(std::begin(test::kFamilyFiles), std::end(test::kFamilyFiles));
  all.insert(all.end(), std::begin(test::kEncoderFiles), std::end(test::kEncoderFiles));
  return all;
}
std::string file_name(const ::testing::TestParamInfo<test::FamilyFile>& info) {
  std::string name = fmt::format("{}_{}", info.param.name, info.index);
  std::ranges::replace_if(
      name, [](char c) { return c == '-' || c == '.'; }, '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, Families, ::testing::ValuesIn(all_files()), file_name);

TEST(Ranks, GiveTheSameBitsWhateverTheirNumber) {
  // Heads of 20 values that neither ranks nor threads divide, and rows that fill no tile.
  const TempFile temp(write_v2(test::random_weights(toy_config(100, 180, 2, 5, 5, 90, 300, false), 21), 20));
  const ModelFile file = read_llama2c(temp.path());
  for (const jit::ElementType type : {jit::ElementType::f32, jit::ElementType::q8_0}) {
    const std::vector<float> expected = alone(file, options_of(1, {type}));
    for (const int ranks : {1, 2, 3, 4, 5}) {
      for (const int threads : {1, 2}) expect_same_bits(file, ranks, options_of(threads, {type}), expected);
    }
  }
}

// An embedding that is the classifier, too, and more ranks than there are tiles of some matrix.
TEST(Ranks, MayHaveNothingOfAMatrix) {
  const TempFile temp(write_v1(test::random_weights(toy_config(32, 40, 2, 4, 1, 70, 60, true), 5)));
  const ModelFile file = read_llama2c(temp.path());
  const std::vector<float> expected = alone(file, options_of(1));
  for (const int threads : {1, 3}) expect_same_bits(file, 5, options_of(threads), expected);
}

TEST(Ranks, HaveTheSharesThatTheyAreGiven) {
  const TempFile temp(write_v1(test::random_weights(toy_config(64, 256, 2, 8, 8, 300, 60, true), 6)));
  const ModelFile file = read_llama2c(temp.path());
  const std::vector<float> expected = alone(file, options_of(1));
  for (const std::vector<int>& shares : {std::vector{3, 1}, {1, 5}, {2, 1, 1}}) {
    EngineOptions options = options_of(2);
    options.shares = shares;
    expect_same_bits(file, static_cast<int>(shares.size()), options, expected);
  }
}

TEST(Ranks, RefuseOtherNumbersOfShares) {
  const TempFile temp(write_v1(test::random_weights(toy_config(64, 64, 1, 2, 2, 60, 60, true), 6)));
  const ModelFile file = read_llama2c(temp.path());
  test::RankMeeting meeting(2);
  ThreadRanks first(meeting, 0);
  EngineOptions options = options_of(1);
  options.ranks = &first;
  options.shares = {1, 1, 1};
  EXPECT_THAT([&] { Engine engine(file, options); },
              ::testing::ThrowsMessage<std::runtime_error>("shares: expected 2, one of each rank, found 3"));
}

// A rank's part of the memory, of a model in which no tile is left over.
TEST(Ranks, HaveTheirPartOfWeightsAndCacheAlone) {
  const TempFile temp(write_v1(test::random_weights(toy_config(128, 512, 4, 8, 4, 1024, 300, true), 7)));
  const ModelFile file = read_llama2c(temp.path());
  Engine one(file, options_of(1));
  one.feed(1, 0, false);
  run_ranks(file, 4, options_of(1), [&](Engine& engine, ThreadRanks& /*link*/) {
    EXPECT_LT(static_cast<double>(engine.weights().bytes()),
              0.27 * static_cast<double>(one.weights().bytes()));
    EXPECT_EQ(engine.kv_cache().bytes_read_at(10) * 4, one.kv_cache().bytes_read_at(10));
    engine.feed(1, 0, false);
    EXPECT_EQ(engine.kv_cache().bytes_in_use() * 4, one.kv_cache().bytes_in_use());
  });
}

// Forks that have to be fed again, all in one step: on each rank in the batch's order, wherever they stand in memory.
TEST(Ranks, FeedAgainInTheOrderOfTheBatch) {
  const auto is_delta_net = [](const test::FamilyFile& f) { return f.name == "qwen3next"; };
  const auto* const family = std::ranges::find_if(test::kFamilyFiles, is_delta_net);
  const TempFile temp(family_gguf(*family, small_config(*family), 4).content());
  const ModelFile file = read_model(temp.path());
  const auto outputs = [&](Engine& engine, bool backwards) {
    engine.sequence().cut(0);
    engine.feed_all(some_tokens(engine.config(), 12), 0);
    std::vector<Sequence> forks;
    for (int i = 0; i < 3; ++i) forks.push_back(engine.new_sequence());
    Batch batch;
    for (std::size_t i = 0; i < forks.size(); ++i) {
      Sequence& fork = forks[backwards ? forks.size() - 1 - i : i];
      fork = engine.sequence().fork(3 + 2 * static_cast<int>(i));
      batch.add(fork, 5, true);
    }
    std::vector<float> all;
    engine.step(batch, [&](std::size_t, const RowOutput& output) {
      all.insert(all.end(), output.logits.begin(), output.logits.end());
    });
    return all;
  };
  Engine one(file, options_of(1));
  for (const bool backwards : {false, true}) {
    const std::vector<float> expected = outputs(one, backwards);
    run_ranks(file, 2, options_of(1), [&](Engine& engine, ThreadRanks& /*link*/) {
      EXPECT_EQ(outputs(engine, backwards), expected);
    });
  }
}

// Four exchanges in a layer, one of the embedding, one of the logits.
TEST(Ranks, ExchangeFourTimesInALayer) {
  const TempFile temp(write_v1(test::random_weights(toy_config(64, 128, 3, 4, 4, 96, 60, true), 8)));
  const ModelFile file = read_llama2c(temp.path());
  run_ranks(file, 2, options_of(2), [&](Engine& engine, ThreadRanks& link) {
    const std::size_t before = link.exchanges, bytes = link.received;
    engine.feed(1, 0, true);
    EXPECT_EQ(link.exchanges - before, 1 + 3 * 4 + 1U);
    // Half of what attention gives, of the stream twice, and of the hidden values, in each layer.
    EXPECT_LE(link.received - bytes, (3U * (32 + 32 + 64 + 32) + 64 + 48) * sizeof(float));
  });
}

// Where ranks' parts are whole groups of a format's activations, these are gathered once they are quantised, or rounded:
// of these formats each has other arrays.
TEST(Ranks, GatherPreparedValues) {
  const TempFile floats(write_v1(test::random_weights(toy_config(256, 1024, 2, 4, 4, 90, 60, true), 12))),
      quantized("");
  for (const auto& [type, ranks] :
       {std::pair{"Q4_0", 3}, {"Q4_1", 2}, {"Q4_K", 2}, {"Q6_K", 2}, {"BF16", 4}}) {
    quantize_model(open_conversion_source(floats.path(), std::nullopt), quantized.path(),
                   test::choice(type, true), 1, {});
    const ModelFile file = read_model(quantized.path());
    for (const int threads : {1, 2}) {
      expect_same_bits(file, ranks, options_of(threads), alone(file, options_of(1)));
    }
  }
}

TEST(Ranks, GatherFewerBytesOfPreparedValues) {
  const ModelFile file = read_model(LLAMAJIT_SOURCE_DIR "/tools/story/models/story.gguf");  // in Q8_0
  run_ranks(file, 2, options_of(1), [&](Engine& engine, ThreadRanks& link) {
    constexpr std::size_t kRows = 20;
    engine.feed(1, 0, false);
    const std::size_t before = link.received;
    engine.feed_all(some_tokens(engine.config(), kRows), 1);
    // Half of the stream twice, of what attention gives and of the hidden values; the latter by a code a value, a scale
    // and a sum for 32 values.
    const std::size_t floats = 4 * (256 / 2 + 256 / 2), prepared = (256 / 2 + 512 / 2) * (32 + 4 + 4) / 32;
    const std::size_t embedding = kRows * 256 * 4, logits = 2048 / 2 * 4;
    EXPECT_LE(link.received - before, kRows * 4 * (floats + prepared) + embedding + logits);
    EXPECT_GT(link.received - before, kRows * 4 * (floats + prepared));
  });
}

// A receiver that throws in the middle of a step leaves nobody waiting.
TEST(Ranks, EndAStepWhoseReceiverThrows) {
  const TempFile temp(write_v1(test::random_weights(toy_config(64, 64, 2, 4, 4, 96, 600, true), 9)));
  const ModelFile file = read_llama2c(temp.path());
  const std::vector<float> expected = alone(file, options_of(1));
  run_ranks(file, 3, options_of(1), [&](Engine& engine, ThreadRanks& /*link*/) {
    const auto fail = [&] {
      engine.feed_each(some_tokens(engine.config(), 400), 0, 0,
                       [](std::size_t, std::span<const float>) { throw std::runtime_error("enough"); });
    };
    EXPECT_THAT(fail, ::testing::ThrowsMessage<std::runtime_error>("enough"));
    const std::vector<float> found = outputs_of(engine);
    EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)), 0);
  });
}

TEST(Ranks, FollowAChangeOfTheTuning) {
  const TempFile temp(write_v1(test::random_weights(toy_config(64, 64, 2, 4, 4, 96, 60, true), 9)));
  const ModelFile file = read_llama2c(temp.path());
  const std::vector<float> expected = alone(file, options_of(1));
  run_ranks(file, 2, options_of(1), [&](Engine& engine, ThreadRanks& /*link*/) {
    tune(engine);
    engine.sequence().cut(0);
    const std::vector<float> found = outputs_of(engine);
    EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)), 0);
  });
}

// Each rank compares its own kernels and weights, in step with the others; together they have all weights.
TEST(Ranks, AreVerified) {
  const TempFile temp(write_v2(test::random_weights(toy_config(96, 160, 2, 6, 3, 90, 300, false), 10), 32));
  const ModelFile file = read_llama2c(temp.path());
  test::RankMeeting meeting(2);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      ThreadRanks ranks(meeting, rank);
      std::int64_t values = 0;
      for (const VerifyRow& row : verify_kernels(file, {jit::host_tiers().back()}, {}, &ranks)) {
        EXPECT_EQ(row.different, 0) << row.kernel;
        values += row.values;
      }
      EXPECT_GT(values, 0);
      EXPECT_EQ(verify_packing(file, {}, Split({1, 1}, rank)), 0);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// A packed file has all weights; a rank reads its own.
TEST(Ranks, MapAPackedFile) {
  const TempFile temp(write_v2(test::random_weights(toy_config(96, 160, 2, 6, 3, 90, 60, false), 11), 32));
  const ModelFile file = read_llama2c(temp.path());
  TempFile packed("");
  {
    Team team(1);
    const Weights weights(file, team, Bf16Products::stored_so);
    std::string content;
    write_packed(packed_key(file, Bf16Products::stored_so), {weights.data(), weights.bytes()},
                 [&](std::span<const std::byte> bytes) {
                   content.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                 });
    packed.write(content);
  }
  EngineOptions options = options_of(2);
  const std::vector<float> expected = alone(file, options);
  options.packed = packed.path();
  expect_same_bits(file, 3, options, expected);
}

// What no rank can make an engine of leaves nobody waiting.
TEST(Ranks, EndTogetherWhereThereIsNoEngine) {
  const TempFile temp(write_v1(test::random_weights(toy_config(64, 64, 1, 2, 2, 60, 60, true), 6)));
  const ModelFile file = read_llama2c(temp.path());
  test::RankMeeting meeting(2);
  ThreadRanks first(meeting, 0), second(meeting, 1);
  EngineOptions options = options_of(1);
  options.ranks = &first;
  options.context = 61;
  EXPECT_THROW({ const Engine engine(file, options); }, std::runtime_error);
  EXPECT_EQ(second.hear().size(), 1U);
}

}  // namespace
}  // namespace llamajit::ranks_test
