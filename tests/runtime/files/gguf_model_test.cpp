// Models out of GGUF files: the same logits as the same weights in a llama2.c checkpoint, and clear errors.
#include "runtime/files/gguf_model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/files/llama2c.h"
#include "runtime/files/model_reader.h"
#include "runtime/forward/engine.h"
#include "runtime/measure/verify.h"
#include "runtime/model/families.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/refused_file.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::gguf_model_test {
namespace {

using test::CheckpointWeights;
using test::expect_refused;
using test::GgufWriter;
using test::TempFile;
using test::toy_config;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int kTokens = 19;  // one more than a group of sixteen positions, and some

// Returns the logits of kTokens tokens one by one, then of all of them as a prompt.
std::vector<float> logits_of(const std::string& content, jit::Tier tier, int threads,
                             const Precision& precision = {}) {
  const TempFile temp(content);
  const ModelFile file = read_model(temp.path());
  Engine engine(file, {{tier}, threads, 0, precision});
  std::vector<TokenId> tokens;
  std::vector<float> all;
  for (int pos = 0; pos < kTokens; ++pos) {
    tokens.push_back((pos * 31 + 1) % file.config.vocab_size);
    engine.feed(tokens.back(), pos, true);
    all.insert(all.end(), engine.logits().begin(), engine.logits().end());
  }
  engine.feed_all(tokens, 0);
  all.insert(all.end(), engine.logits().begin(), engine.logits().end());
  for (const float logit : all) EXPECT_TRUE(std::isfinite(logit));
  return all;
}

void expect_same_logits(const std::string& content, const std::string& reference,
                        const Precision& precision = {}, const Precision& of_reference = {}) {
  for (const auto& [tier, threads] : {std::pair{jit::Tier::scalar, 1}, {jit::host_tiers().back(), 3}}) {
    const std::vector<float> logits = logits_of(content, tier, threads, precision);
    const std::vector<float> expected = logits_of(reference, tier, threads, of_reference);
    ASSERT_EQ(logits.size(), expected.size());
    EXPECT_EQ(std::memcmp(logits.data(), expected.data(), logits.size() * sizeof(float)), 0);
  }
}

void for_each_matrix(CheckpointWeights& weights, const std::function<void(std::vector<float>&)>& use) {
  use(weights.embedding);
  for (auto& l : weights.layers) {
    for (auto* matrix : {&l.wq, &l.wk, &l.wv, &l.wo, &l.gate, &l.down, &l.up}) use(*matrix);
  }
  use(weights.classifier);
}

// Weights that both kinds of float and Q8_0 hold exactly: the codes' multiples of a power of two.
CheckpointWeights exact_weights(const Config& config) {
  CheckpointWeights weights = test::random_weights(config, 7);
  for_each_matrix(weights, [](std::vector<float>& matrix) {
    for (std::size_t i = 0; i < matrix.size(); ++i) {
      matrix[i] = i % 32 == 0 ? 127.0F / 128 : std::round(matrix[i] * 32) / 128;
    }
  });
  return weights;
}

const Config kConfig = toy_config(64, 96, 2, 4, 2, 50, 24, false);

TEST(GgufModel, GivesTheLogitsOfTheSameWeightsInAnotherFile) {
  for (const bool shared : {true, false}) {
    const Config config = toy_config(64, 96, 2, 8, 4, 129, 32, shared);
    const CheckpointWeights weights = test::random_weights(config, 5);
    expect_same_logits(llama_gguf(weights, test::kF32).content(), write_v0(weights));
    const CheckpointWeights exact = exact_weights(config);
    expect_same_logits(llama_gguf(exact, test::kQ8_0).content(), write_v2(exact, 32));
  }
}

TEST(GgufModel, SixteenBitFloatsAreTheFloatsTheyStandFor) {
  CheckpointWeights weights = test::random_weights(kConfig, 5);
  for_each_matrix(weights, [](std::vector<float>& matrix) {
    for (float& w : matrix) w = std::bit_cast<float>(std::bit_cast<std::uint32_t>(w) & 0xFFFF0000);
  });
  const std::string bf16 = llama_gguf(weights, test::kBf16).content();
  expect_same_logits(bf16, write_v1(weights), {.bf16 = Bf16Products::none});
  // Its inputs are rounded, unless told otherwise.
  expect_same_logits(bf16, write_v1(weights), {}, {.bf16 = Bf16Products::all_floats});
  EXPECT_NE(logits_of(bf16, jit::Tier::scalar, 1),
            logits_of(bf16, jit::Tier::scalar, 1, {.bf16 = Bf16Products::none}));
  // Eight bits of fraction fit binary16, too, where the exponent does.
  for_each_matrix(weights, [](std::vector<float>& matrix) {
    for (float& w : matrix) w = std::fabs(w) < 1e-3F ? 0.0F : w;
  });
  expect_same_logits(llama_gguf(weights, test::kF16).content(), write_v1(weights));
}

TEST(GgufModel, VersionsAlignmentsAndPartsChangeNothing) {
  const CheckpointWeights weights = exact_weights(kConfig);
  GgufWriter w = llama_gguf(weights, test::kQ8_0);
  w.version = 2;
  w.alignment = 128;
  expect_same_logits(w.content(), write_v2(weights, 32));
}

TEST(GgufModel, FormatsMayDifferFromMatrixToMatrix) {
  const CheckpointWeights weights = exact_weights(kConfig);
  GgufWriter mixed = llama_gguf(weights, test::kQ8_0);
  const auto replace = [&](const std::string& name, const std::vector<float>& values, std::uint64_t cols) {
    mixed.remove_tensor(name);
    mixed.add_tensor(name, {cols, values.size() / cols}, test::kF32, test::encode_tensor(values, test::kF32));
  };
  replace("blk.0.attn_q.weight", weights.layers[0].wq, 64);
  replace("blk.0.attn_output.weight", weights.layers[0].wo, 64);
  replace("blk.1.attn_v.weight", weights.layers[1].wv, 64);
  replace("blk.1.ffn_gate.weight", weights.layers[1].gate, 64);
  replace("blk.1.ffn_up.weight", weights.layers[1].up, 64);
  replace("blk.0.ffn_down.weight", weights.layers[0].down, 96);
  const std::vector<float> expected = logits_of(mixed.content(), jit::Tier::scalar, 1);
  for (const jit::Tier tier : jit::host_tiers()) {
    for (const int threads : {1, 2, 3}) EXPECT_EQ(logits_of(mixed.content(), tier, threads), expected);
  }
  const TempFile temp(mixed.content());
  const ModelFile file = read_model(temp.path());
  EXPECT_EQ(verify_packing(file), 0);
  for (const VerifyRow& row : verify_kernels(file, {jit::host_tiers().back()})) EXPECT_EQ(row.different, 0);
}

// Heads four times as long whose additional values are zeros and not rotated: the same sums. The longer
// head's scores are divided by twice as much, which the queries make up for.
// As converters put it beside NVFP4; what they put there for the inputs changes nothing.
TEST(GgufModel, MatricesMayHaveAScale) {
  const CheckpointWeights weights = test::random_weights(kConfig, 5);
  CheckpointWeights halves = weights;
  for (auto& l : halves.layers) {
    for (auto* matrix : {&l.wq, &l.wk, &l.wv, &l.wo, &l.gate, &l.down, &l.up}) {
      for (float& weight : *matrix) weight /= 2;
    }
  }
  GgufWriter scaled = llama_gguf(halves, test::kF32);
  for (int layer = 0; layer < kConfig.n_layers; ++layer) {
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}) {
      const std::string matrix = fmt::format("blk.{}.{}", layer, name);
      scaled.add_tensor(matrix + ".scale", {1}, test::kF32, test::bytes_of(2.0F));
      scaled.add_tensor(matrix + ".input_scale", {1}, test::kF32, test::bytes_of(0.37F));
    }
  }
  expect_same_logits(scaled.content(), llama_gguf(weights, test::kF32).content());
}

TEST(GgufModel, HeadsNeedNotMakeUpTheDimension) {
  const Config narrow = toy_config(128, 96, 2, 8, 1, 50, 24, true);  // heads of 16
  const CheckpointWeights weights = test::random_weights(narrow, 5);
  CheckpointWeights wide = weights;
  wide.config.head_size = 64;
  const auto stretch_rows = [](const std::vector<float>& from, float factor) {
    std::vector<float> to(from.size() * 4);
    for (std::size_t row = 0; row < from.size() / 128; ++row) {
      for (std::size_t col = 0; col < 128; ++col) {
        to[(row / 16 * 64 + row % 16) * 128 + col] = factor * from[row * 128 + col];
      }
    }
    return to;
  };
  for (auto& layer : wide.layers) {
    layer.wq = stretch_rows(layer.wq, 2);
    layer.wk = stretch_rows(layer.wk, 1);
    layer.wv = stretch_rows(layer.wv, 1);
    std::vector<float> wo(layer.wo.size() * 4);
    for (std::size_t i = 0; i < layer.wo.size(); ++i) {
      const std::size_t col = i % 128;
      wo[i / 128 * 512 + col / 16 * 64 + col % 16] = layer.wo[i];
    }
    layer.wo = wo;
  }
  GgufWriter w = llama_gguf(wide, test::kF32);
  w.add("llama.rope.dimension_count", 16);
  expect_same_logits(w.content(), write_v1(weights));
}

TEST(GgufModel, SaysHowTextsAreEmbedded) {
  const auto pooling_of = [](std::uint32_t number) {
    GgufWriter w = llama_gguf(exact_weights(kConfig), test::kF32);
    w.add("llama.pooling_type", number);
    const TempFile temp(w.content());
    return read_model(temp.path()).config.pooling;
  };
  EXPECT_EQ(pooling_of(0), std::nullopt);
  EXPECT_EQ(pooling_of(1), Pooling::mean);
  EXPECT_EQ(pooling_of(2), Pooling::first);
  EXPECT_EQ(pooling_of(3), Pooling::last);
  EXPECT_THAT([&] { pooling_of(4); }, ThrowsMessage<std::runtime_error>(HasSubstr("llama.pooling_type")));
}

TEST(GgufModel, ReadsWhatTheKeysSay) {
  GgufWriter w = llama_gguf(test::random_weights(kConfig, 5), test::kF32);
  w.remove("llama.attention.layer_norm_rms_epsilon");
  w.add("llama.attention.layer_norm_rms_epsilon", 2e-6F);
  w.add("llama.rope.freq_base", 500000.0F);
  w.add("llama.rope.dimension_count", 8);
  w.add("llama.rope.scaling.type", "yarn");
  w.add("llama.rope.scaling.factor", 4.0F);
  w.add("llama.rope.scaling.original_context_length", 6);
  w.add("llama.rope.scaling.attn_factor", 1.5F);
  w.add_tensor("rope_freqs.weight", {4}, test::kF32, test::encode_tensor({1, 2, 4, 8}, test::kF32));
  const TempFile temp(w.content());
  const ModelFile file = read_model(temp.path());
  EXPECT_EQ(file.file_format, "GGUF v3 (llama)");
  const Config& c = file.config;
  EXPECT_EQ(c.dim, 64);
  EXPECT_EQ(c.hidden_dim, 96);
  EXPECT_EQ(c.n_layers, 2);
  EXPECT_EQ(c.n_heads, 4);
  EXPECT_EQ(c.n_kv_heads, 2);
  EXPECT_EQ(c.head_dim(), 16);
  EXPECT_EQ(c.vocab_size, 50);
  EXPECT_EQ(c.seq_len, 24);
  EXPECT_FALSE(c.shared_classifier);
  EXPECT_EQ(c.norm_eps, 2e-6F);
  EXPECT_EQ(c.rope.theta, 500000.0F);
  EXPECT_EQ(c.rope.dims, 8);
  EXPECT_EQ(c.rope.scaling, RopeConfig::Scaling::yarn);
  EXPECT_EQ(c.rope.factor, 4.0F);
  EXPECT_EQ(c.rope.original_context, 6);
  EXPECT_EQ(c.rope.magnitude, 1.5F);
  EXPECT_EQ(c.rope.divisors, (std::vector<float>{1, 2, 4, 8}));
}

class RefusedModel : public ::testing::Test {
 protected:
  static GgufWriter model() { return llama_gguf(test::random_weights(kConfig, 5), test::kF32); }
  template <class Value>
  static GgufWriter with(std::string_view key, Value value) {
    GgufWriter w = model();
    w.remove(key);
    w.add(key, value);
    return w;
  }
  static GgufWriter without(std::string_view key) {
    GgufWriter w = model();
    w.remove(key);
    return w;
  }
  static GgufWriter with_tensor(const std::string& name, const std::vector<std::uint64_t>& dims,
                                std::uint32_t type = test::kF32, std::size_t bytes_per_row = 0) {
    GgufWriter w = model();
    w.remove_tensor(name);
    std::size_t bytes = bytes_per_row > 0 ? bytes_per_row : 4 * dims[0];
    for (std::size_t i = 1; i < dims.size(); ++i) bytes *= dims[i];
    w.add_tensor(name, dims, type, std::string(bytes, '\0'));
    return w;
  }
};

TEST_F(RefusedModel, OfAnUnknownFamily) {
  std::vector<std::string_view> names;
  for (const Family& family : families()) names.push_back(family.name);
  ASSERT_EQ(names.front(), "llama");
  const std::string known = fmt::format(
      "general.architecture: expected a supported family of models ({}), found ", fmt::join(names, ", "));
  expect_refused(with("general.architecture", "mam\x1B[2Jba"), known + "'mam\\x1B[2Jba'");
  expect_refused(without("general.architecture"), known + "none");
}

TEST_F(RefusedModel, WithKeysThatAreMissingOrWrong) {
  for (const char* name :
       {"context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count"}) {
    const std::string key = std::string("llama.") + name;
    expect_refused(without(key), key + ": expected an integer from 1 to");
    for (const std::uint32_t count : {0U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
      expect_refused(with(key, count), fmt::format("{}: expected an integer from 1 to", key));
      expect_refused(with(key, count), fmt::format("found {}", count));
    }
    expect_refused(with(key, "8"), key + ": expected an integer from 1 to");
    expect_refused(with(key, 8.0F), key + ": expected an integer from 1 to");
    const bool may_differ =
        key.ends_with("length") ? key.starts_with("llama.feed") : key.ends_with("head_count");
    expect_refused(with(key, std::vector<std::int32_t>{8, 8, 8}),
                   may_differ ? "elements, one for each layer, found 3" : "found an array of i32");
  }
  expect_refused(without("llama.attention.layer_norm_rms_epsilon"),
                 "llama.attention.layer_norm_rms_epsilon: expected a positive number, found none");
  expect_refused(with("llama.attention.layer_norm_rms_epsilon", -1.0F),
                 "expected a positive number, found -1");
  expect_refused(with("llama.attention.layer_norm_rms_epsilon", std::nanf("")),
                 "expected a finite number, found nan");
  expect_refused(with("llama.attention.head_count", 5),
                 "llama.attention.head_count_kv: expected a divisor of head_count 5");
  expect_refused(with("llama.attention.head_count_kv", 3), "expected a divisor of head_count 4, found 3");
  expect_refused(with("llama.attention.head_count", 6), "expected a divisor of embedding_length 64, found 6");
  expect_refused(with("llama.attention.key_length", 15), "expected heads of an even size");
  expect_refused(with("llama.attention.key_length", 1 << 20), "expected heads of an even size");
  expect_refused(with("llama.attention.value_length", 8),
                 "llama.attention.value_length: expected the length of keys, 16, found 8");
  expect_refused(with("llama.rope.dimension_count", 18), "expected at most a head's size, 16, found 18");
  expect_refused(with("llama.rope.dimension_count", 7),
                 "llama.rope.dimension_count: expected an even number, found 7");
  expect_refused(with("llama.rope.freq_base", 0.0F),
                 "llama.rope.freq_base: expected a positive number, found 0");
  expect_refused(with("llama.rope.scaling.type", "longrope"),
                 "expected none, linear or yarn, found 'longrope'");
  GgufWriter yarn = with("llama.rope.scaling.type", "yarn");
  yarn.add("llama.rope.scaling.yarn_ext_factor", 0.5F);
  expect_refused(yarn, "llama.rope.scaling.yarn_ext_factor: expected 1, found 0.5");
  expect_refused(with("llama.expert_count", 8),
                 "llama.expert_used_count: expected an integer from 1 to 8, found none");
}

TEST_F(RefusedModel, WithTensorsThatAreMissingOrWrong) {
  for (const char* name :
       {"token_embd", "output_norm", "blk.0.attn_norm", "blk.1.attn_q", "blk.1.attn_k", "blk.0.attn_v",
        "blk.0.attn_output", "blk.1.ffn_norm", "blk.1.ffn_gate", "blk.0.ffn_up", "blk.1.ffn_down"}) {
    GgufWriter w = model();
    w.remove_tensor(fmt::format("{}.weight", name));
    expect_refused(w, fmt::format("{}.weight: expected a tensor of this name, found none", name));
  }
  expect_refused(with_tensor("blk.1.attn_k.weight", {64, 33}),
                 "blk.1.attn_k.weight: expected shape (32, 64), found (33, 64)");
  expect_refused(with_tensor("blk.1.attn_q.weight", {64, 32, 2}),
                 "expected shape (64, 64), found (2, 32, 64)");
  expect_refused(with_tensor("blk.0.ffn_down.weight", {64, 96}), "expected shape (64, 96), found (96, 64)");
  expect_refused(with_tensor("output_norm.weight", {63}),
                 "output_norm.weight: expected shape (64), found (63)");
  expect_refused(with_tensor("token_embd.weight", {32, 50}),
                 "token_embd.weight: expected shape (50, 64), found (50, 32)");
  expect_refused(with_tensor("output.weight", {64, 49}),
                 "output.weight: expected shape (50, 64), found (49, 64)");
  expect_refused(
      with_tensor("blk.0.attn_q_norm.weight", {64}),
      "blk.0.attn_q_norm.weight: expected tensors that a model of the family llama has, found another");
  expect_refused(with_tensor("blk.0.ffn_up.weight", {64, 96}, test::kQ8_0, 68),
                 "blk.0.ffn_up.weight: expected the format of blk.0.ffn_gate.weight, f32, found Q8_0");
  expect_refused(with_tensor("rope_freqs.weight", {8}),
                 "rope_freqs.weight: expected positive numbers, found 0");
  expect_refused(with_tensor("rope_freqs.weight", {7}), "rope_freqs.weight: expected shape (8), found (7)");
  expect_refused(with_tensor("blk.1.ffn_up.scale", {2}), "blk.1.ffn_up.scale: expected shape (1), found (2)");
  expect_refused(with_tensor("output.scale", {1}),
                 "output.scale: expected tensors that a model of the family llama has, found another");
}

TEST_F(RefusedModel, InFormatsWithoutKernels) {
  const auto q8_1 = with_tensor("blk.0.attn_v.weight", {64, 32}, 9, 72);
  expect_refused(q8_1, "blk.0.attn_v.weight: expected one of the formats F32, F16, BF16, Q8_0, Q4_0, ");
  expect_refused(q8_1, ", found Q8_1");
  expect_refused(with_tensor("blk.0.attn_v.weight", {64, 32}, 26), "found I32");
  expect_refused(with_tensor("blk.0.attn_norm.weight", {64}, test::kQ8_0, 68),
                 "blk.0.attn_norm.weight: expected one of the formats F32, F16, BF16, found Q8_0");
}

}  // namespace
}  // namespace llamajit::gguf_model_test
