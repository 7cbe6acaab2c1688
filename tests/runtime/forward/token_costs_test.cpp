#include "runtime/forward/token_costs.h"

#include <string_view>

#include <gtest/gtest.h>

#include "runtime/files/model_reader.h"
#include "runtime/forward/kv_cache.h"
#include "tests/support/family_writer.h"
#include "tests/support/temp_file.h"

namespace llamajit::token_costs_test {
namespace {

constexpr jit::ElementType kType = jit::ElementType::f16;

ModelFile family_file(std::string_view name) {
  const test::FamilyFile* found = nullptr;
  for (const test::FamilyFile& family : test::kFamilyFiles) {
    if (family.name == name && found == nullptr) found = &family;
  }
  const test::TempFile temp(family_gguf(*found, small_config(*found), 3).content());
  return read_model(temp.path());
}

std::int64_t all_bytes(const ModelFile& file) {
  std::int64_t bytes = 0;
  for (const Tensor* const tensor : file.tensors()) bytes += static_cast<std::int64_t>(tensor->bytes());
  return bytes;
}

TEST(TokenCosts, OfTheEmbeddingARowIsReadUnlessItMultiplies) {
  const ModelFile own = family_file("llama"), tied = family_file("gemma");
  const auto row = static_cast<std::int64_t>(own.embedding.bytes()) / own.embedding.rows;
  EXPECT_EQ(token_costs(own, kType).weights, all_bytes(own) - row * (own.embedding.rows - 1));
  EXPECT_EQ(token_costs(tied, kType).weights, all_bytes(tied));
}

TEST(TokenCosts, OfExpertsTheChosenAreRead) {
  ModelFile file = family_file("qwen3moe");
  const jit::RouteKey route = file.config.layer(0).route;
  const std::int64_t some = token_costs(file, kType).weights;
  file.config.route.used = route.experts;
  const std::int64_t all = token_costs(file, kType).weights;
  std::int64_t experts = 0;
  for (const LayerTensors& l : file.layers) {
    experts += static_cast<std::int64_t>(l.gate.bytes() + l.up.bytes() + l.down.bytes());
  }
  EXPECT_EQ(all - some, experts / route.experts * (route.experts - route.used));
}

// What lies between the blocks of a tensor of gates and ups is not counted twice.
TEST(TokenCosts, BlocksOfATensorAreCountedOnce) {
  const test::FamilyFile* found = nullptr;
  for (const test::FamilyFile& family : test::kFamilyFiles) found = family.beside ? &family : found;
  ASSERT_NE(found, nullptr);
  const test::TempFile temp(family_gguf(*found, small_config(*found), 3).content());
  ModelFile file = read_model(temp.path());
  for (LayerShape& layer : file.config.layers) layer.route.used = layer.route.experts;
  std::int64_t experts = 0;
  for (const LayerTensors& l : file.layers) {
    experts += (l.gate.rows + l.up.rows) * l.gate.cols * std::int64_t{sizeof(float)};
  }
  const std::int64_t all = token_costs(file, kType).weights;
  for (LayerTensors& l : file.layers) l.gate = l.up = Tensor();
  EXPECT_EQ(all - token_costs(file, kType).weights, experts);
}

TEST(TokenCosts, KeysAndValuesAreThoseOfTheCache) {
  for (const std::string_view name : {"llama", "gemma3", "qwen35", "deepseek2"}) {
    const ModelFile file = family_file(name);
    const TokenCosts costs = token_costs(file, kType);
    const int last = file.config.seq_len - 1;
    const KvCache cache(file.config, file.config.seq_len, {.sequences = 1}, kType, 8);
    EXPECT_EQ(costs.per_position * (last + 1) + costs.windows, cache.bytes_read_at(last)) << name;
    EXPECT_EQ(costs.windows > 0, name == "gemma3") << name;
    EXPECT_EQ(costs.states, cache.states().bytes()) << name;
    EXPECT_EQ(costs.states > 0, name == "qwen35") << name;
  }
}

TEST(TokenCosts, ManyTokensTouchNearlyAllExperts) {
  EXPECT_DOUBLE_EQ(experts_touched({8, 3}, 1), 3);
  EXPECT_NEAR(experts_touched({128, 8}, 8), 128 * (1 - 0.5967), 0.01);
  EXPECT_NEAR(experts_touched({8, 3}, 100), 8, 1e-6);
  EXPECT_DOUBLE_EQ(experts_touched({4, 4}, 1), 4);
}

}  // namespace
}  // namespace llamajit::token_costs_test
