// Every family of models: its logits are those of plain
// mathematics, and the same bits however they are computed.
#include "runtime/model/families.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "runtime/files/gguf_model.h"
#include "runtime/files/model_reader.h"
#include "runtime/forward/engine.h"
#include "runtime/measure/verify.h"
#include "tests/support/family_writer.h"
#include "tests/support/reference_model.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::families_test {
namespace {

using test::FamilyFile;
using test::small_config;
using test::TempFile;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kTokens = 19;  // one more than a group of sixteen positions, and some

std::vector<TokenId> some_tokens(int vocab_size) {
  std::vector<TokenId> tokens;
  for (int pos = 0; pos < kTokens; ++pos) tokens.push_back((pos * 31 + 1) % vocab_size);
  return tokens;
}

// Returns the logits of each token one by one, then of the last one of them as a prompt.
std::vector<std::vector<float>> logits_of(const ModelFile& file, jit::Tier tier, int threads) {
  Engine engine(file, {{tier}, threads, 0, {jit::ElementType::f32}});
  const std::vector<TokenId> tokens = some_tokens(file.config.vocab_size);
  std::vector<std::vector<float>> all;
  const auto keep = [&] { all.emplace_back(engine.logits().begin(), engine.logits().end()); };
  for (int pos = 0; pos < kTokens; ++pos) {
    engine.feed(tokens[static_cast<std::size_t>(pos)], pos, true);
    keep();
  }
  engine.feed_all(tokens, 0);
  keep();
  return all;
}

void expect_logits_of_plain_mathematics(const ModelFile& file) {
  const auto expected = test::reference_logits(file, some_tokens(file.config.vocab_size));
  const auto logits = logits_of(file, jit::host_tiers().back(), 1);
  for (std::size_t pos = 0; pos < expected.size(); ++pos) {
    for (std::size_t i = 0; i < expected[pos].size(); ++i) {
      ASSERT_NEAR(logits[pos][i], expected[pos][i], 2e-4) << "position " << pos << ", logit " << i;
    }
  }
}

class Families : public ::testing::TestWithParam<FamilyFile> {};

TEST_P(Families, GiveTheLogitsOfPlainMathematics) {
  const TempFile temp(family_gguf(GetParam(), small_config(GetParam()), 3).content());
  expect_logits_of_plain_mathematics(read_model(temp.path()));
}

TEST_P(Families, GiveTheSameBitsOnEveryTierForEveryTeamAndAsAPrompt) {
  const TempFile temp(family_gguf(GetParam(), small_config(GetParam()), 4).content());
  const ModelFile file = read_model(temp.path());
  const auto expected = logits_of(file, jit::Tier::scalar, 1);
  EXPECT_EQ(expected[kTokens - 1], expected[kTokens]);
  for (const jit::Tier tier : jit::host_tiers()) {
    if (test::kSanitized && tier != jit::host_tiers().back()) continue;  // generated code is not looked at
    EXPECT_EQ(logits_of(file, tier, 1), expected) << to_string(tier);
  }
  for (const int threads : {2, 3}) {  // more than there are K/V heads, too
    EXPECT_EQ(logits_of(file, jit::host_tiers().back(), threads), expected) << threads << " threads";
  }
}

// Of encoders, too.
class AllFamilies : public ::testing::TestWithParam<FamilyFile> {};

std::vector<FamilyFile> all_files() {
  std::vector<FamilyFile> all(std::begin(test::kFamilyFiles), std::end(test::kFamilyFiles));
  all.insert(all.end(), std::begin(test::kEncoderFiles), std::end(test::kEncoderFiles));
  return all;
}

TEST_P(AllFamilies, AreVerified) {
  const TempFile temp(family_gguf(GetParam(), small_config(GetParam()), 5).content());
  const ModelFile file = read_model(temp.path());
  EXPECT_EQ(verify_packing(file), 0);
  for (const VerifyRow& row : verify_kernels(file, {jit::host_tiers().back()})) {
    EXPECT_EQ(row.different, 0) << row.kernel;
  }
}

// Whether the row lets a file do without the tensor.
bool may_be_missing(const Family& row, std::string_view name) {
  const auto is_any_of = [&](std::initializer_list<std::string_view> ends) {
    return std::ranges::any_of(ends, [&](std::string_view end) { return name.ends_with(end); });
  };
  if (name == "output.weight") return row.classifier != Presence::needed;
  if (name.ends_with("ffn_norm.weight")) return row.has_ffn_norm != Presence::needed;
  if (is_any_of({"attn_q_norm.weight", "attn_k_norm.weight"})) return row.head_norms != Presence::needed;
  if (!row.other_att_norm.empty() && name.ends_with(fmt::format("{}.weight", row.other_att_norm))) {
    return true;
  }
  if (name.ends_with("attn_v.weight")) return row.keys_for_values;
  // Two other tensors are looked for then.
  if (is_any_of({"ssm_in.weight", "attn_kv_b.weight"})) return true;
  if (name.ends_with("exp_probs_b.bias")) return row.experts.choice_bias != Presence::needed;
  if (name.ends_with(".scale")) return row.scales != Presence::needed;
  if (is_any_of({"attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_qkv.bias"})) {
    return row.qkv_bias != Presence::needed;
  }
  if (name.ends_with("attn_output.bias")) return row.output_bias != Presence::needed;
  if (is_any_of({"ffn_up.bias", "ffn_down.bias"})) return row.ffn_bias != Presence::needed;
  return false;
}

TEST_P(AllFamilies, MissNoTensor) {
  const test::GgufWriter whole = family_gguf(GetParam(), small_config(GetParam()), 5);
  const TempFile temp(whole.content());
  const GgufFile file(temp.path());
  const auto row = std::ranges::find(families(), GetParam().name, &Family::name);
  ASSERT_NE(row, families().end());
  for (const GgufTensor& tensor : file.tensors()) {
    // Nobody looks at layers that predict further tokens.
    const bool is_later = tensor.name.starts_with(fmt::format("blk.{}.", small_config(GetParam()).n_layers));
    if (is_later || may_be_missing(*row, tensor.name)) continue;
    test::GgufWriter part = whole;
    part.remove_tensor(tensor.name);
    const TempFile damaged(part.content());
    try {
      read_model(damaged.path());
      ADD_FAILURE() << tensor.name;
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), HasSubstr(fmt::format("{}: expected a tensor of this name", tensor.name)));
    }
  }
}

std::string case_name(const testing::TestParamInfo<FamilyFile>& info) {
  std::string name = fmt::format("{}_{}", info.index, info.param.name);
  for (char& c : name) c = c == '-' || c == '.' ? '_' : c;
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Families, testing::ValuesIn(test::kFamilyFiles), case_name);
INSTANTIATE_TEST_SUITE_P(All, AllFamilies, testing::ValuesIn(all_files()), case_name);

// KoAlpaca-Polyglot's heads, of 5.8 and of 12.8 billion
// parameters: of many values a quarter or a half is rotated.
TEST(GptNeox, RunsWithPolyglotsHeads) {
  for (const int head_size : {256, 128}) {
    for (const FamilyFile& family : test::kFamilyFiles) {
      if (family.name != "gptneox") continue;
      Config c = test::toy_config(2 * head_size, 4 * head_size, 1, 2, 2, 50, 24, false);
      c.rope.dims = 64;
      const TempFile temp(family_gguf(family, c, 3).content());
      const ModelFile file = read_model(temp.path());
      EXPECT_EQ(file.config.parallel_residual, family.parallel);
      EXPECT_EQ(file.config.rotated_dims(), 64);
      expect_logits_of_plain_mathematics(file);
    }
  }
}

TEST(FamilyTable, IsTestedWhole) {
  for (const Family& family : families()) {
    EXPECT_TRUE(std::ranges::any_of(all_files(), [&](const FamilyFile& file) {
      return file.name == family.name;
    })) << family.name;
  }
}

// Two families that differ in how rotated pairs lie alone: with the rows of queries and keys exchanged
// accordingly they are the same model, to the last bit.
TEST(FamilyTable, PairsOfHalvesAreAdjacentPairsInAnotherOrder) {
  const FamilyFile llama{.name = "llama", .qkv_bias = true}, qwen2{.name = "qwen2", .qkv_bias = true};
  const Config config = small_config(llama);
  const test::GgufWriter adjacent = family_gguf(llama, config, 6);
  test::GgufWriter halves = family_gguf(qwen2, config, 6);
  const TempFile temp(adjacent.content());
  const GgufFile file(temp.path());
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.name.find("attn_q") == tensor.name.npos && tensor.name.find("attn_k") == tensor.name.npos)
      continue;
    const bool is_matrix = tensor.n_dims == 2;
    const auto rows = static_cast<std::size_t>(tensor.dims[is_matrix ? 1 : 0]);
    const std::size_t row_bytes = tensor.data.size() / rows;
    std::string data(tensor.data.size(), '\0');
    Config order = config;
    order.rope.pairs = RopeConfig::Pairs::halves;
    for (std::size_t row = 0; row < rows; ++row) {
      const auto to = static_cast<std::size_t>(rotated_row(order, static_cast<std::int64_t>(row)));
      std::memcpy(data.data() + to * row_bytes, tensor.data.data() + row * row_bytes, row_bytes);
    }
    halves.remove_tensor(tensor.name);
    std::vector<std::uint64_t> dims;
    for (int i = 0; i < tensor.n_dims; ++i) {
      dims.push_back(static_cast<std::uint64_t>(tensor.dims[static_cast<std::size_t>(i)]));
    }
    halves.add_tensor(tensor.name, dims, test::kF32, data);
  }
  const TempFile other(halves.content());
  const jit::Tier tier = jit::host_tiers().back();
  EXPECT_EQ(logits_of(read_model(other.path()), tier, 1), logits_of(read_model(temp.path()), tier, 1));
}

void expect_the_same_bits_everywhere(const ModelFile& file) {
  const auto expected = logits_of(file, jit::Tier::scalar, 1);
  for (const jit::Tier tier : jit::host_tiers()) {
    for (const int threads : {1, 2, 3}) {
      SCOPED_TRACE(fmt::format("tier {}, {} threads", to_string(tier), threads));
      EXPECT_EQ(logits_of(file, tier, threads), expected);
    }
  }
  for (const VerifyRow& row : verify_kernels(file, {jit::host_tiers().back()}, {})) {
    EXPECT_EQ(row.different, 0) << row.kernel;
  }
}

// Layers of one model that differ in their heads, head size, window and RoPE.
TEST(Families, LayersMayDiffer) {
  const FamilyFile llama{.name = "llama"};
  Config c = test::toy_config(96, 112, 3, 4, 2, 50, 300, false);
  const TempFile temp(test::family_gguf(llama, c, 17).content());
  ModelFile file = read_model(temp.path());
  file.config.layers.assign(3, file.config);
  file.config.layers[0].window = 5;
  file.config.layers[0].rope.theta = 500.0F;
  file.config.layers[1].n_heads = 8;  // of 12 values, where the other layers' have 24
  file.config.layers[1].n_kv_heads = 4;
  file.config.layers[1].head_size = 12;
  file.config.layers[1].rope.dims = 12;
  file.config.layers[2].window = 17;
  expect_logits_of_plain_mathematics(file);
  expect_the_same_bits_everywhere(file);
  // The windows' layers read less of a long text.
  const KvCache cache(file.config, 300, {.sequences = 1}, jit::ElementType::f32, 1);
  EXPECT_EQ(cache.bytes_read_at(299), 4 * (5 * 2 * 56 + 300 * 4 * 28 + 17 * 2 * 56));
}

// A family whose layers differ takes a row of the table, and nothing else.
class ToyFamily : public ::testing::Test {
 protected:
  static constexpr Family kRow{.name = "toy", .window_period = 3, .window_rope_theta = 500.0F};

  // Four layers, of which the third attends to all positions.
  static Config config() {
    Config c = test::toy_config(96, 112, 4, 4, 2, 50, 300, false);
    c.rope.original_context = c.seq_len;
    c.layers.assign(4, c);
    c.layers[1].n_heads = 8;  // of 12 values, where the other layers' have 24
    c.layers[1].n_kv_heads = 8;
    c.layers[2].n_kv_heads = 1;
    c.layers[3].hidden_dim = 48;
    for (const std::size_t windowed : {0, 1, 3}) {
      c.layers[windowed].window = 5;
      c.layers[windowed].rope.theta = kRow.window_rope_theta;
    }
    return c;
  }
  static test::GgufWriter gguf() {
    test::GgufWriter writer = family_gguf(FamilyFile{.name = "toy"}, config(), 17);
    writer.add("toy.attention.sliding_window", 5);
    return writer;
  }
  static ModelFile read(const test::GgufWriter& writer) {
    const TempFile temp(writer.content());
    return read_gguf_model(GgufFile(temp.path()), std::span(&kRow, 1));
  }
  static std::string error_of(const test::GgufWriter& writer) {
    try {
      read(writer);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "";
  }
};

TEST_F(ToyFamily, TakesOneRowOfTheTable) {
  const ModelFile file = read(gguf());
  EXPECT_EQ(file.config.layers, config().layers);
  expect_logits_of_plain_mathematics(file);
  expect_the_same_bits_everywhere(file);
}

TEST_F(ToyFamily, FilesMaySayWhichLayersHaveAWindow) {
  const auto windows = [](const test::GgufWriter& writer) {
    std::vector<int> all;
    for (const LayerShape& layer : read(writer).config.layers) all.push_back(layer.window);
    return all;
  };
  test::GgufWriter w = gguf();
  w.add("toy.attention.sliding_window_pattern", 2);
  w.add("toy.rope.freq_base_swa", 700.0F);
  EXPECT_EQ(windows(w), (std::vector{5, 0, 5, 0}));
  EXPECT_EQ(read(w).config.layers[0].rope.theta, 700.0F);
  w = gguf();
  w.add("toy.attention.sliding_window_pattern", GgufType::array,
        test::bytes_of(std::uint32_t{7}) + test::bytes_of(std::uint64_t{4}) + std::string("\0\0\1\0", 4));
  EXPECT_EQ(windows(w), (std::vector{0, 0, 5, 0}));
}

TEST_F(ToyFamily, WrongArraysAreNamed) {
  constexpr std::string_view kHeads = "toy.attention.head_count";
  const auto with_heads = [&](const std::vector<std::int32_t>& heads) {
    test::GgufWriter w = gguf();
    w.remove(kHeads);
    w.add(kHeads, heads);
    return error_of(w);
  };
  EXPECT_THAT(with_heads({4, 8, 4}),
              HasSubstr("head_count: expected 4 elements, one for each layer, found 3"));
  EXPECT_THAT(with_heads({4, 8, 0, 4}),
              HasSubstr("head_count[2]: expected an integer from 1 to 1048576, found 0"));
  EXPECT_THAT(with_heads({4, 6, 4, 4}),
              HasSubstr("head_count_kv: expected a divisor of head_count 6, found 8"));
  test::GgufWriter w = gguf();
  w.remove(kHeads);
  w.add(kHeads, std::vector<float>{4, 8, 4, 4});
  EXPECT_THAT(error_of(w), HasSubstr("head_count[0]: expected an integer from 1 to 1048576, found a value of "
                                     "type f32"));
  w = gguf();
  w.remove("toy.attention.sliding_window");
  EXPECT_THAT(error_of(w), HasSubstr("sliding_window: expected an integer from 0 to 16777216, found none"));
}

// An array of equal numbers is what one number is.
TEST(Families, ArraysOfEqualNumbersAreOneNumber) {
  const FamilyFile llama{.name = "llama"};
  test::GgufWriter writer = family_gguf(llama, small_config(llama), 3);
  writer.remove("llama.attention.head_count");
  writer.add("llama.attention.head_count", std::vector<std::int32_t>{4, 4});
  const TempFile temp(writer.content());
  const ModelFile file = read_model(temp.path());
  EXPECT_EQ(file.config.n_heads, 4);
  EXPECT_TRUE(file.config.layers.empty());
}

}  // namespace
}  // namespace llamajit::families_test
