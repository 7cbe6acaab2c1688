// What families' files may not say, and what is known of models with experts before they run.
#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "runtime/files/model_reader.h"
#include "runtime/forward/engine.h"
#include "runtime/measure/profile.h"
#include "tests/support/family_writer.h"
#include "tests/support/refused_file.h"
#include "tests/support/temp_file.h"

namespace llamajit::family_files_test {
namespace {

using test::expect_refused;
using test::FamilyFile;
using test::small_config;
using test::TempFile;
using ::testing::HasSubstr;

// A key of a family's file has another value, or with a negative one none: the message begins with the key's family.
class WithKey {
 public:
  explicit WithKey(std::string_view family)
      : family_(family),
        file_(family_gguf(*std::ranges::find(test::kFamilyFiles, family, &FamilyFile::name),
                          small_config(*std::ranges::find(test::kFamilyFiles, family, &FamilyFile::name)),
                          5)) {}
  void refused(std::string_view key, int value, const std::string& message) const {
    test::GgufWriter w = file_;
    w.remove(fmt::format("{}.{}", family_, key));
    if (value >= 0) w.add(fmt::format("{}.{}", family_, key), value);
    expect_refused(w, fmt::format("{}.{}", family_, message));
  }

 private:
  std::string_view family_;
  test::GgufWriter file_;
};

TEST(FamilyTable, WrongShapesAndKeysAreNamed) {
  const FamilyFile& gptneox = *std::ranges::find(test::kFamilyFiles, "gptneox", &FamilyFile::name);
  const test::GgufWriter neox = family_gguf(gptneox, small_config(gptneox), 5);
  test::GgufWriter w = neox;
  w.remove("gptneox.use_parallel_residual");
  expect_refused(w, "gptneox.use_parallel_residual: expected true or false, found none");
  w = neox;
  w.remove("gptneox.attention.layer_norm_epsilon");
  expect_refused(w, "gptneox.attention.layer_norm_epsilon: expected a positive number, found none");
  w = neox;
  w.remove_tensor("blk.1.attn_qkv.weight");
  w.add_tensor("blk.1.attn_qkv.weight", {80, 191}, test::kF32, std::string(4 * 80 * 191, '\0'));
  expect_refused(w, "blk.1.attn_qkv.weight: expected shape (192, 80), found (191, 80)");
  w = neox;
  w.remove_tensor("blk.0.ffn_up.bias");
  w.add_tensor("blk.0.ffn_up.bias", {111}, test::kF32, std::string(4 * 111, '\0'));
  expect_refused(w, "blk.0.ffn_up.bias: expected shape (112), found (111)");
  w = neox;
  w.remove_tensor("output_norm.bias");
  w.add_tensor("output_norm.bias", {80, 1}, test::kF16, std::string(160, '\0'));
  TempFile half(w.content());
  EXPECT_NO_THROW(read_model(half.path())) << "biases may be F16";
  w = neox;
  w.add("gptneox.vocab_size", 50);
  w.add("gptneox.attention.clamp_kqv", 0.0F);
  TempFile harmless(w.content());
  EXPECT_NO_THROW(read_model(harmless.path())) << "keys that ask for nothing";
  w.add("gptneox.attention.max_alibi_bias", 8.0F);
  expect_refused(
      w,
      "gptneox.attention.max_alibi_bias: expected keys that docs/gguf.md lists as honoured, found another");
  w = neox;
  w.add("gptneox.attention.causal", true);
  TempFile causal(w.content());
  EXPECT_NO_THROW(read_model(causal.path()));
  const FamilyFile& falcon = *std::ranges::find(test::kFamilyFiles, "falcon", &FamilyFile::name);
  w = family_gguf(falcon, small_config(falcon), 5);
  w.add("falcon.use_parallel_residual", false);
  expect_refused(w, "falcon.use_parallel_residual: expected true, found false");
  w = neox;
  w.add_tensor("blk.0.attn_q_norm.weight", {24}, test::kF32, std::string(96, '\0'));
  expect_refused(
      w, "blk.0.attn_q_norm.weight: expected tensors that a model of the family gptneox has, found another");
}

// What a step multiplies is known as it runs only.
TEST(FamilyTable, ExpertsAreMeasured) {
  const FamilyFile& moe = *std::ranges::find(test::kFamilyFiles, "qwen2moe", &FamilyFile::name);
  const TempFile temp(family_gguf(moe, small_config(moe), 5).content());
  Engine engine(read_model(temp.path()), {.isa = {jit::host_tiers().back()}});
  const std::vector<const Step*> steps = token_steps(engine.token_program());
  const Profile counted = count_token(engine), token = profile_token(engine, 5);
  EXPECT_EQ(token.steps.size(), steps.size());
  EXPECT_GT(token.seconds, 0);
  EXPECT_GT(profile_prompt(engine, 9).seconds, 0);
  std::int64_t calls = 0;
  for (const KernelProfile& kernel : counted.kernels) calls += kernel.calls;
  // In each of two layers, gate and up, and down, are multiplied for three experts.
  EXPECT_EQ(calls, std::ssize(steps) + 2 * 2 * (3 - 1));
}

TEST(FamilyTable, WrongExpertsAreNamed) {
  const WithKey moe("qwen3moe");
  moe.refused("expert_count", -1, "expert_count: expected 1 to 1024, found none");
  moe.refused("expert_count", 1025, "expert_count: expected an integer from 0 to 1024, found 1025");
  moe.refused("expert_used_count", -1, "expert_used_count: expected an integer from 1 to 20, found none");
  moe.refused("expert_used_count", 21, "expert_used_count: expected an integer from 1 to 20, found 21");
  moe.refused("expert_gating_func", 4, "expert_gating_func: expected an integer from 0 to 3, found 4");
  moe.refused("expert_group_count", 6,
              "expert_group_count: expected groups of equally many of 20 experts, two at least, found 6");
  moe.refused("expert_group_count", 20,
              "expert_group_count: expected groups of equally many of 20 experts, two at least, found 20");
  moe.refused("interleave_moe_layer_step", 2, "interleave_moe_layer_step: expected 1, found 2");
  moe.refused("expert_feed_forward_length", 40,
              "expert_count: expected experts whose matrices have multiples of 16 rows, found 40");
}

TEST(FamilyTable, WrongDeltaNetsAreNamed) {
  const WithKey hybrid("qwen35");
  hybrid.refused("ssm.group_count", -1, "ssm.group_count: expected an integer from 1 to 1048576, found none");
  hybrid.refused("ssm.conv_kernel", 65, "ssm.conv_kernel: expected an integer from 1 to 64, found 65");
  hybrid.refused("ssm.time_step_rank", 3,
                 "ssm.time_step_rank: expected a multiple of group_count 2, found 3");
  hybrid.refused(
      "ssm.state_size", 24,
      "ssm.state_size: expected a multiple of 16, 1048576 values of all heads at the most, found 4 heads of "
      "size 24");
  hybrid.refused("ssm.inner_size", 127,
                 "ssm.inner_size: expected time_step_rank * state_size, 128, found 127");
  hybrid.refused("full_attention_interval", 0,
                 "full_attention_interval: expected an integer from 1 to 16384, found 0");
}

// What is shared must be as large as who shares it takes it for, and no number may leave an int.
TEST(FamilyTable, WrongLayersOfGemma4AreNamed) {
  const WithKey file("gemma4");
  file.refused("attention.shared_kv_layers", 8,
               "attention.shared_kv_layers: expected an integer from 0 to 7, found 8");
  file.refused(
      "attention.shared_kv_layers", 3,
      "attention.shared_kv_layers: expected for each of these layers one before with its window and its "
      "K/V heads, found none for layer 5");
  file.refused("rope.dimension_count_swa", 15, "rope.dimension_count: expected an even number, found 15");
  file.refused("embedding_length_per_layer_input", 1 << 18,
               "embedding_length_per_layer_input: expected an integer from 0 to 131072, found 262144");
  const FamilyFile& family = *std::ranges::find(test::kFamilyFiles, "gemma4", &FamilyFile::name);
  test::GgufWriter w = family_gguf(family, small_config(family), 5);
  w.remove("gemma4.attention.head_count_kv");
  w.add("gemma4.attention.head_count_kv", std::vector<std::int32_t>{1, 1, 1, 1, 1, 2, 2, 2});
  expect_refused(w, "K/V heads, found none for layer 6");
}

// Numbers that stand alone as well as those of matrices.
TEST(FamilyTable, NumbersThatAreNoneAreRefused) {
  constexpr std::pair<std::string_view, std::string_view> kNumbers[] = {
      {"gemma4", "blk.0.layer_output_scale.weight"}, {"bitnet-25", "blk.1.attn_output.scale"}};
  for (const auto& [name, tensor] : kNumbers) {
    const FamilyFile& family = *std::ranges::find(test::kFamilyFiles, name, &FamilyFile::name);
    test::GgufWriter w = family_gguf(family, small_config(family), 5);
    w.remove_tensor(tensor);
    w.add_tensor(std::string(tensor), {1}, test::kF32,
                 test::encode_tensor({std::numeric_limits<float>::quiet_NaN()}, test::kF32));
    const TempFile temp(w.content());
    const ModelFile file = read_model(temp.path());
    EXPECT_THAT([&] { Engine(file, {.isa = {jit::host_tiers().back()}}); },
                ::testing::ThrowsMessage<std::runtime_error>(
                    HasSubstr(fmt::format("{}: expected finite weights, found nan at (0, 0)", tensor))));
  }
}

}  // namespace
}  // namespace llamajit::family_files_test
