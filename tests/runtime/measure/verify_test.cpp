#include "runtime/measure/verify.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "jit/formats/quantizer.h"
#include "jit/formats/rows.h"
#include "runtime/files/ggml_type.h"
#include "runtime/files/gguf_model.h"
#include "runtime/files/llama2c.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/random_matrix.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_file.h"
#include "tests/support/tile_emulator.h"
#include "tests/support/toy_model.h"

namespace llamajit::verify_test {
namespace {

TEST(Verify, FindsNoDifferenceOnAnyTier) {
  const auto weights = test::random_weights(test::toy_config(64, 172, 2, 8, 4, 511, 40, false), 2);
  int threads = 0;
  for (const std::string& content : {write_v0(weights), write_v1(weights), write_v2(weights, 4)}) {
    const test::TempFile temp(content);
    const ModelFile file = read_llama2c(temp.path());
    ++threads;
    for (const jit::Tier tier : jit::host_tiers()) {
      std::set<std::string> kernels;
      for (const VerifyRow& row : verify_kernels(file, {tier}, {}, nullptr, {}, threads)) {
        EXPECT_EQ(row.different, 0) << row.kernel << " " << to_string(tier);
        EXPECT_GT(row.calls, 0) << row.kernel;
        EXPECT_GT(row.values, 0) << row.kernel;
        kernels.insert(row.kernel);
      }
      // Embedding, norm, five products, rotation, append, attention, softmax, argmax.
      EXPECT_GE(kernels.size(), 10U);
    }
    EXPECT_EQ(verify_packing(file, {}, {}, threads), 0);
  }
}

TEST(Verify, FindsNoDifferenceWithTiles) {
  if (!test::tile_kernels_run()) GTEST_SKIP() << "this CPU lacks what stands beside tiles";
  const test::TempFile temp(
      write_v2(test::random_weights(test::toy_config(64, 96, 1, 4, 2, 100, 64, false), 3), 32));
  const ModelFile file = read_llama2c(temp.path());
  for (const VerifyRow& row : verify_kernels(file, {jit::Tier::avx512amx}))
    EXPECT_EQ(row.different, 0) << row.kernel;
}

TEST(Verify, CoversEveryTypeOfCache) {
  const auto weights = test::random_weights(test::toy_config(88, 172, 1, 2, 1, 65, 40, false), 2);
  const test::TempFile temp(write_v1(weights));
  const ModelFile file = read_llama2c(temp.path());
  for (const auto& [type, name] : {std::pair{jit::ElementType::f32, "_f32_"},
                                   {jit::ElementType::f16, "_f16_"},
                                   {jit::ElementType::bf16, "_bf16_"},
                                   {jit::ElementType::q8_0, "_q8_0_"}}) {
    int of_this_type = 0;
    for (const VerifyRow& row : verify_kernels(file, {jit::host_tiers().back()}, {type})) {
      EXPECT_EQ(row.different, 0) << row.kernel;
      const bool caches = row.kernel.starts_with("kv_append") || row.kernel.starts_with("attention");
      if (caches && row.kernel.find(name) != std::string::npos) ++of_this_type;
    }
    EXPECT_EQ(of_this_type, 3) << name;  // append, attention, and that of several tokens
  }
}

TEST(Verify, CoversRoundedMatrices) {
  for (const bool shared : {true, false}) {
    const test::TempFile temp(
        write_v1(test::random_weights(test::toy_config(88, 171, 1, 2, 1, 65, 40, shared), 2)));
    const ModelFile file = read_llama2c(temp.path());
    const Precision rounded{.bf16 = Bf16Products::all_floats};
    for (const jit::Tier tier : jit::host_tiers()) {
      int products = 0;
      for (const VerifyRow& row : verify_kernels(file, {tier}, rounded)) {
        EXPECT_EQ(row.different, 0) << row.kernel;
        if (row.kernel.starts_with("mat")) {
          EXPECT_NE(row.kernel.find("bf16_pairs"), std::string::npos) << row.kernel;
          ++products;
        }
      }
      EXPECT_GE(products, 10);
    }
    EXPECT_EQ(verify_packing(file, rounded), 0);
  }
}

// With more than a range of positions threads may share heads; with fewer there is nothing to share.
TEST(Verify, CoversSharedHeads) {
  for (const int seq_len : {256, 257, 300, 700}) {
    const test::TempFile temp(
        write_v1(test::random_weights(test::toy_config(96, 44, 1, 6, 2, 65, seq_len, false), 3)));
    const ModelFile file = read_llama2c(temp.path());
    for (const jit::Tier tier : jit::host_tiers()) {
      std::set<std::string> kernels;
      for (const VerifyRow& row : verify_kernels(file, {tier})) {
        EXPECT_EQ(row.different, 0) << row.kernel << " " << to_string(tier);
        EXPECT_TRUE(kernels.insert(row.kernel).second) << row.kernel << " has two rows";
      }
      const auto has = [&](const std::string& prefix) {
        return std::ranges::any_of(kernels, [&](const auto& name) { return name.starts_with(prefix); });
      };
      EXPECT_EQ(has("attention_ranges"), seq_len > jit::kAttentionRange);
      EXPECT_EQ(has("attention_merge"), seq_len > jit::kAttentionRange);
    }
  }
}

// A file as mixes of few bits are, and one that nothing here can write.
TEST(Verify, CoversFormatsThatAreReadOnly) {
  const auto weights = test::random_weights(test::toy_config(256, 512, 1, 4, 2, 96, 64, false), 4);
  test::GgufWriter w = llama_gguf(weights, test::kF32);
  std::mt19937_64 random(5);
  const auto replace = [&](const std::string& name, std::string_view type, int rows, int cols) {
    const test::RandomMatrix matrix(*jit::find_ggml_format(type), rows, cols, random);
    const std::span<const std::byte> data = matrix.source().data;
    w.remove_tensor(name);
    w.add_tensor(name, {static_cast<std::uint64_t>(cols), static_cast<std::uint64_t>(rows)},
                 find_ggml_type(type)->number, {reinterpret_cast<const char*>(data.data()), data.size()});
  };
  replace("token_embd.weight", "IQ3_S", 96, 256);
  replace("blk.0.attn_q.weight", "IQ2_XXS", 256, 256);
  replace("blk.0.attn_k.weight", "IQ2_XS", 128, 256);
  replace("blk.0.attn_v.weight", "IQ3_XXS", 128, 256);
  replace("blk.0.attn_output.weight", "IQ2_S", 256, 256);
  replace("blk.0.ffn_gate.weight", "IQ1_S", 512, 256);
  replace("blk.0.ffn_up.weight", "IQ1_S", 512, 256);
  replace("blk.0.ffn_down.weight", "IQ1_M", 256, 512);
  const test::TempFile temp(w.content());
  const ModelFile file = read_gguf_model(GgufFile(temp.path()));
  EXPECT_EQ(verify_packing(file), 0);
  for (const jit::Tier tier : jit::host_tiers()) {
    std::set<std::string> products;
    for (const VerifyRow& row : verify_kernels(file, {tier})) {
      EXPECT_EQ(row.different, 0) << row.kernel << " " << to_string(tier);
      if (row.kernel.find("_iq") != std::string::npos) products.insert(row.kernel);
    }
    EXPECT_GE(products.size(), 14U) << to_string(tier);  // by vectors and by chunks
  }
}

// Rows of a matrix whose bytes are any at all but for numbers that are none, which no model may have: scales up to the ends
// of f16 and f32, subnormal ones, and sums beyond all floats.
std::string any_finite_rows(const jit::Format& format, int rows, int cols, std::mt19937_64& random) {
  std::string data;
  // Floats are drawn one by one, as a whole row of them has one that is no number nearly always.
  const int drawn = format.group == 0 ? 1 : cols;
  std::vector<float> values(static_cast<std::size_t>(drawn));
  const auto is_finite = [](float value) { return std::isfinite(value); };
  for (int i = 0; i < rows * cols; i += drawn) {
    std::string bytes(static_cast<std::size_t>(jit::row_bytes(format.kind, drawn)), '\0');
    do {
      for (char& byte : bytes) byte = static_cast<char>(random() >> 56);
      jit::dequantize_row(format.kind, reinterpret_cast<const std::byte*>(bytes.data()), drawn, values.data(),
                          1);
    } while (!std::ranges::all_of(values, is_finite));
    data += bytes;
  }
  return data;
}

// Overflow makes infinities and NaNs of them in every kernel behind. Of tiers, the first that generates code and the last.
TEST(Verify, FindsNoDifferenceWhereSumsOverflow) {
  constexpr int kDim = 256, kHidden = 512;
  const auto weights = test::random_weights(test::toy_config(kDim, kHidden, 1, 4, 2, 96, 64, false), 4);
  const std::vector<jit::Tier> host = jit::host_tiers();
  int n_types = 0;
  for (const char* const type :
       {"Q2_K", "Q3_K", "Q6_K", "Q4_0", "Q5_1", "IQ1_M", "IQ3_S", "IQ4_KS", "F16", "BF16"}) {
    if (test::kSanitized && n_types++ % 5 != 0) continue;
    test::GgufWriter w = llama_gguf(weights, test::kF32);
    std::mt19937_64 random(5);
    for (const auto& [name, rows, cols] : {std::tuple{"token_embd.weight", 96, kDim},
                                           {"blk.0.attn_q.weight", kDim, kDim},
                                           {"blk.0.attn_k.weight", 128, kDim},
                                           {"blk.0.attn_v.weight", 128, kDim},
                                           {"blk.0.attn_output.weight", kDim, kDim},
                                           {"blk.0.ffn_gate.weight", kHidden, kDim},
                                           {"blk.0.ffn_up.weight", kHidden, kDim},
                                           {"blk.0.ffn_down.weight", kDim, kHidden}}) {
      w.remove_tensor(name);
      w.add_tensor(name, {static_cast<std::uint64_t>(cols), static_cast<std::uint64_t>(rows)},
                   find_ggml_type(type)->number,
                   any_finite_rows(*jit::find_ggml_format(type), rows, cols, random));
    }
    const test::TempFile temp(w.content());
    const ModelFile file = read_gguf_model(GgufFile(temp.path()));
    EXPECT_EQ(verify_packing(file), 0) << type;
    for (const jit::Tier tier : {host[std::min<std::size_t>(1, host.size() - 1)], host.back()}) {
      for (const VerifyRow& row : verify_kernels(file, {tier})) {
        EXPECT_EQ(row.different, 0) << type << " " << row.kernel << " " << to_string(tier);
      }
    }
  }
}

TEST(Verify, TakesTheShortestContext) {
  const test::TempFile temp(write_v1(test::random_weights(test::toy_config(8, 8, 1, 2, 1, 4, 1, true), 2)));
  const ModelFile file = read_llama2c(temp.path());
  for (const VerifyRow& row : verify_kernels(file, {jit::host_tiers().back()})) {
    EXPECT_EQ(row.different, 0) << row.kernel;
  }
}

}  // namespace
}  // namespace llamajit::verify_test
