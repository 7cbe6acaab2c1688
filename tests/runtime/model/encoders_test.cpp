// Encoders: each token sees its whole text, and the hidden states are those of plain mathematics, the same bits
// however they are computed and whatever else is in a step.
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/files/model_reader.h"
#include "runtime/forward/engine.h"
#include "tests/support/family_writer.h"
#include "tests/support/reference_model.h"
#include "tests/support/refused_file.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::encoders_test {
namespace {

using test::FamilyFile;
using test::small_config;
using test::TempFile;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Text = std::vector<TokenId>;
using Vectors = std::vector<std::vector<float>>;

Text some_text(int tokens, int first = 1) {
  Text text;
  for (int i = 0; i < tokens; ++i) text.push_back((i * 31 + first) % 50);
  return text;
}

// The hidden states of each text, all of which are in one step.
std::vector<Vectors> hidden_of(Engine& engine, const std::vector<Text>& texts) {
  std::vector<Sequence> sequences;
  for (std::size_t i = 0; i < texts.size(); ++i) sequences.push_back(engine.new_sequence());
  Batch batch;
  std::vector<std::size_t> text_of_row;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    batch.add_hidden(sequences[i], texts[i], 0);
    text_of_row.insert(text_of_row.end(), texts[i].size(), i);
  }
  std::vector<Vectors> hidden(texts.size());
  engine.step(batch, [&](std::size_t row, const RowOutput& output) {
    hidden[text_of_row[row]].emplace_back(output.hidden.begin(), output.hidden.end());
  });
  return hidden;
}

Vectors hidden_alone(const ModelFile& file, const Text& text, jit::Tier tier, int threads) {
  Engine engine(file, {.isa = {tier}, .threads = threads, .sequences = 2});
  return hidden_of(engine, {text}).front();
}

void expect_plain_mathematics(const ModelFile& file, const Text& text) {
  const auto expected = test::reference_hidden(file, text);
  const Vectors hidden = hidden_alone(file, text, jit::host_tiers().back(), 1);
  ASSERT_EQ(hidden.size(), expected.size());
  for (std::size_t pos = 0; pos < expected.size(); ++pos) {
    for (std::size_t i = 0; i < expected[pos].size(); ++i) {
      ASSERT_NEAR(hidden[pos][i], expected[pos][i], 1e-4) << "token " << pos << ", value " << i;
    }
  }
}

void expect_the_same_bits(const ModelFile& file, const Text& text) {
  const Vectors expected = hidden_alone(file, text, jit::Tier::scalar, 1);
  for (const jit::Tier tier : jit::host_tiers()) {
    if (test::kSanitized && tier != jit::host_tiers().back()) continue;  // generated code is not looked at
    EXPECT_EQ(hidden_alone(file, text, tier, 1), expected) << to_string(tier);
  }
  for (const int threads : {2, 3}) {  // more than there are K/V heads, too
    EXPECT_EQ(hidden_alone(file, text, jit::host_tiers().back(), threads), expected) << threads << " threads";
  }
}

// Of a family, with room for longer texts than a step of other models has rows.
test::GgufWriter with_context(const FamilyFile& family, int context) {
  Config config = small_config(family);
  config.seq_len = context;
  return family_gguf(family, config, 7);
}

class Encoders : public ::testing::TestWithParam<FamilyFile> {};

TEST_P(Encoders, GiveTheHiddenStatesOfPlainMathematics) {
  const TempFile temp(family_gguf(GetParam(), small_config(GetParam()), 3).content());
  const ModelFile file = read_model(temp.path());
  EXPECT_FALSE(file.config.causal);
  for (const int tokens : {1, 2, 5, 17, 24}) expect_plain_mathematics(file, some_text(tokens));
}

TEST_P(Encoders, GiveTheSameBitsOnEveryTierForEveryTeam) {
  const TempFile temp(family_gguf(GetParam(), small_config(GetParam()), 4).content());
  const ModelFile file = read_model(temp.path());
  for (const int tokens : {1, 3, 19}) expect_the_same_bits(file, some_text(tokens));
}

// A text's rows are more than a chunk of other models' and reach into a second range of positions.
TEST_P(Encoders, TakeALongTextAsAWhole) {
  const TempFile temp(with_context(GetParam(), 290).content());
  const ModelFile file = read_model(temp.path());
  expect_plain_mathematics(file, some_text(275));
  expect_the_same_bits(file, some_text(275));
}

TEST_P(Encoders, GiveEachTextOfAStepWhatItHasAlone) {
  test::MatrixEncoding q8_0{test::kQ8_0, [](const std::vector<float>& weights) {
                              return test::encode_tensor(weights, test::kQ8_0);
                            }};
  Config config = test::toy_config(96, 128, 2, 4, 4, 50, 40, true);
  config.rope.dims = 24;
  const TempFile floats(with_context(GetParam(), 40).content());
  const TempFile codes(family_gguf(GetParam(), config, 7, q8_0).content());
  for (const std::string& path : {floats.path(), codes.path()}) {
    const ModelFile file = read_model(path);
    std::vector<Text> texts;  // together more rows than go through the layers at once
    for (const int tokens : {3, 40, 1, 17, 33, 40, 16, 2, 9}) texts.push_back(some_text(tokens, tokens));
    std::vector<Vectors> alone;
    for (const Text& text : texts) alone.push_back(hidden_alone(file, text, jit::Tier::scalar, 1));
    for (const int threads : {1, 2}) {
      Engine engine(file, {.isa = {jit::host_tiers().back()}, .threads = threads, .sequences = 10});
      EXPECT_EQ(hidden_of(engine, texts), alone) << threads << " threads";
      EXPECT_EQ(hidden_of(engine, {texts[3], texts[2]}), (std::vector{alone[3], alone[2]}));
    }
  }
}

// A text is through a layer before the next one remembers anything of it.
TEST_P(Encoders, RememberOneLayerAtATime) {
  const TempFile temp(family_gguf(GetParam(), small_config(GetParam()), 4).content());
  const ModelFile file = read_model(temp.path());
  Engine engine(file, {.isa = {jit::Tier::scalar}, .sequences = 2});
  const KvCache& cache = engine.kv_cache();
  ASSERT_GT(cache.n_layers(), 1U);
  const std::int64_t head = cache.layout(0).keys_bytes() + cache.layout(0).values_bytes();
  for (std::size_t layer = 0; layer < cache.n_layers(); ++layer) {
    EXPECT_EQ(cache.keys_at(layer, 0), 0);
    EXPECT_LE(cache.values_at(layer, 0), head * file.config.n_kv_heads);
  }
  Sequence sequence = engine.new_sequence();
  Batch batch;
  batch.add_hidden(sequence, some_text(5), 0);
  engine.step(batch, [](std::size_t, const RowOutput&) {});
  const std::int64_t page = jit::round_up(head * file.config.n_kv_heads, 4096);
  EXPECT_EQ(cache.bytes_in_use(), page * static_cast<std::int64_t>(cache.kinds()));
}

TEST_P(Encoders, TakeWholeTextsAloneAndPredictNothing) {
  const TempFile temp(family_gguf(GetParam(), small_config(GetParam()), 4).content());
  const ModelFile file = read_model(temp.path());
  Engine engine(file, {.isa = {jit::host_tiers().back()}, .sequences = 3});
  const Text text = some_text(5);
  const auto refusal = [&](const Batch& batch) {
    try {
      engine.step(batch, [](std::size_t, const RowOutput&) { ADD_FAILURE() << "a row"; });
    } catch (const std::runtime_error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  Sequence sequence = engine.new_sequence(), other = engine.new_sequence();
  Batch batch;
  batch.add_hidden(sequence, some_text(25), 0);
  EXPECT_EQ(refusal(batch), "sequence: expected at most 24 tokens (the context), found 25");
  batch.clear();
  batch.add(sequence, text, 4);
  EXPECT_THAT(refusal(batch), HasSubstr("model: expected one that predicts tokens, found an encoder"));
  batch.clear();
  batch.add_hidden(sequence, text, 0);
  batch.add_hidden(other, text, 0);
  batch.add_hidden(sequence, text, 0);
  EXPECT_EQ(refusal(batch), "sequence: expected an encoder's text in one piece, found several");
  batch.clear();
  batch.add_hidden(sequence, text, 0);
  engine.step(batch, [](std::size_t, const RowOutput&) {});
  EXPECT_EQ(refusal(batch), "sequence: expected none before an encoder's text, found 5 tokens");
  const auto predicts_none = ThrowsMessage<std::runtime_error>(HasSubstr("found an encoder"));
  EXPECT_THAT([&] { engine.feed(1, 0, true); }, predicts_none);
  EXPECT_THAT([&] { engine.feed_all(text, 0); }, predicts_none);
}

TEST_P(Encoders, WrongFilesAreRefused) {
  const test::GgufWriter whole = family_gguf(GetParam(), small_config(GetParam()), 5);
  const std::string causal = fmt::format("{}.attention.causal", GetParam().name);
  test::GgufWriter w = whole;
  w.remove(causal);
  const TempFile silent(w.content());
  EXPECT_FALSE(read_model(silent.path()).config.causal) << "the family's";
  w.add(causal, true);
  expect_refused(w, causal + ": expected false, found true");
  const std::string context = fmt::format("{}.context_length", GetParam().name);
  w = whole;
  w.remove(context);
  w.add(context, 131073);
  expect_refused(w, context + ": expected at most 131072 of an encoder, found 131073");
}

test::GgufWriter with_tensor(test::GgufWriter file, const std::string& name,
                             std::vector<std::uint64_t> dims) {
  file.remove_tensor(name);
  std::size_t values = 1;
  for (const std::uint64_t n : dims) values *= n;
  file.add_tensor(name, std::move(dims), test::kF32, std::string(values * sizeof(float), '\0'));
  return file;
}

const FamilyFile& encoder_file(std::string_view name) {
  return *std::ranges::find(test::kEncoderFiles, name, &FamilyFile::name);
}

TEST(Bert, WrongFilesAreRefused) {
  for (const std::string_view name : {"bert", "nomic-bert", "jina-bert-v2"}) {
    const FamilyFile& family = encoder_file(name);
    const test::GgufWriter whole = family_gguf(family, small_config(family), 5);
    test::GgufWriter w = whole;
    w.remove("tokenizer.ggml.token_type_count");
    w.add("tokenizer.ggml.token_type_count", 3);
    expect_refused(w, "tokenizer.ggml.token_type_count: expected the rows of token_types.weight, 2, found 3");
    expect_refused(with_tensor(whole, "token_types.weight", {79, 2}),
                   "token_types.weight: expected shape (2, 80), found (2, 79)");
    expect_refused(with_tensor(whole, "token_embd_norm.bias", {81}),
                   "token_embd_norm.bias: expected shape (80)");
    expect_refused(with_tensor(whole, "blk.1.layer_output_norm.weight", {80, 2}),
                   "blk.1.layer_output_norm.weight: expected shape (80)");
    expect_refused(with_tensor(whole, "output_norm.weight", {80}),
                   "output_norm.weight: expected tensors that a model of the family");
    if (!family.positions) continue;
    expect_refused(with_tensor(whole, "position_embd.weight", {80, 23}),
                   "position_embd.weight: expected shape (24, 80), found (23, 80)");
    w = whole;
    w.remove("bert.context_length");
    w.add("bert.context_length", 0);
    expect_refused(w, "bert.context_length: expected an integer from 1 to");
  }
}

TEST(ModernBert, WhatItsFilesSay) {
  const FamilyFile& family = encoder_file("modern-bert");
  const test::GgufWriter whole = family_gguf(family, small_config(family), 5);
  const auto read = [](const test::GgufWriter& writer) {
    const TempFile temp(writer.content());
    return read_model(temp.path()).config;
  };
  const Config config = read(whole);
  ASSERT_EQ(config.layers.size(), 5U);
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    const LayerShape& layer = config.layer(i);
    EXPECT_EQ(layer.window, i % 3 == 0 ? 0 : 9) << "four on either side of a token";
    EXPECT_EQ(layer.rope.theta, i % 3 == 0 ? 160000 : 10000);
    EXPECT_EQ(layer.activation, jit::Epilogue::geglu);
  }
  test::GgufWriter w = whole;
  w.add("modern-bert.hidden_activation", "silu");
  w.add("modern-bert.rope.freq_base_swa", 20000.0F);
  w.add("modern-bert.attention.sliding_window_pattern", 2);
  EXPECT_EQ(read(w).layer(1).activation, jit::Epilogue::swiglu);
  EXPECT_EQ(read(w).layer(1).rope.theta, 20000);
  EXPECT_EQ(read(w).layer(2).window, 0);
  EXPECT_EQ(read(w).layer(3).window, 9);
  w.remove("modern-bert.hidden_activation");
  w.add("modern-bert.hidden_activation", "tanh");
  expect_refused(w, "modern-bert.hidden_activation: expected gelu or silu, found 'tanh'");
  expect_refused(with_tensor(whole, "blk.0.attn_norm.weight", {80}),
                 "blk.0.attn_norm.weight: expected tensors that a model of the family");
  w = whole;
  w.remove_tensor("blk.1.attn_norm.weight");
  expect_refused(w, "blk.1.attn_norm.weight: expected a tensor");
}

std::string case_name(const testing::TestParamInfo<FamilyFile>& info) {
  std::string name(info.param.name);
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Encoders, testing::ValuesIn(test::kEncoderFiles), case_name);

// Models for embeddings that were made of decoders: their files say that they are not causal.
TEST(NotCausal, DecodersAreEncoders) {
  for (const std::string_view name : {"llama", "qwen3", "gpt2", "olmo2"}) {
    const FamilyFile& family = *std::ranges::find(test::kFamilyFiles, name, &FamilyFile::name);
    test::GgufWriter writer = family_gguf(family, small_config(family), 8);
    writer.add(fmt::format("{}.attention.causal", name), false);
    const TempFile temp(writer.content());
    const ModelFile file = read_model(temp.path());
    EXPECT_FALSE(file.config.causal);
    expect_plain_mathematics(file, some_text(19));
    expect_the_same_bits(file, some_text(19));
  }
}

TEST(NotCausal, WindowsAndDeltaNetsAreRefused) {
  for (const std::string_view name : {"gemma3", "qwen35"}) {
    const FamilyFile& family = *std::ranges::find(test::kFamilyFiles, name, &FamilyFile::name);
    test::GgufWriter writer = family_gguf(family, small_config(family), 8);
    writer.add(fmt::format("{}.attention.causal", name), false);
    const TempFile temp(writer.content());
    EXPECT_THAT([&] { read_model(temp.path()); },
                ThrowsMessage<std::runtime_error>(
                    HasSubstr(fmt::format("{}.attention.causal: expected true, found false", name))));
  }
}

}  // namespace
}  // namespace llamajit::encoders_test
