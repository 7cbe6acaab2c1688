// Sums of squared inputs: those of tokens that are fed one by one, for every family, thread and tier.
#include "runtime/measure/input_squares.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "runtime/convert/quantization_type.h"
#include "runtime/files/gguf_model.h"
#include "runtime/files/llama2c.h"
#include "tests/support/family_writer.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::input_squares_test {
namespace {

using test::FamilyFile;
using test::TempFile;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kTokens = 19;

std::vector<TokenId> some_tokens(int vocab_size) {
  std::vector<TokenId> tokens;
  for (int pos = 0; pos < kTokens; ++pos) tokens.push_back((pos * 31 + 1) % vocab_size);
  return tokens;
}

Engine engine_of(const ModelFile& file, jit::Tier tier, int threads) {
  return {file, {{tier}, threads, 0, {jit::ElementType::f32}}};
}

std::map<std::string, InputSquares> collected(const ModelFile& file, jit::Tier tier, int threads,
                                              bool output = true) {
  Engine engine = engine_of(file, tier, threads);
  InputCollector collector(engine, file, output);
  collector.feed(some_tokens(file.config.vocab_size));
  std::map<std::string, InputSquares> by_name;
  for (InputSquares& of : collector.result()) by_name.emplace(of.name, of);
  return by_name;
}

// By the matrix, as its products are computed for one token after the other.
struct Reference {
  std::vector<double> sums;
  std::int64_t count = 0;
};
std::map<const std::byte*, Reference> token_by_token(Engine& engine) {
  std::map<const std::byte*, Reference> of;
  const auto see = [&](const Step&, const Target& target, const void* args) {
    if (const auto* key = std::get_if<jit::MatvecKey>(&target.kernel->key)) {
      const auto& matvec = *static_cast<const jit::MatvecArgs*>(args);
      if (matvec.unit_begin == 0) {
        Reference& to = of[matvec.w];
        to.sums.resize(static_cast<std::size_t>(key->cols));
        for (std::size_t i = 0; i < to.sums.size(); ++i)
          to.sums[i] += static_cast<double>(matvec.x[i]) * matvec.x[i];
        ++to.count;
      }
    }
    target.call(args);
  };
  for (const TokenId token : some_tokens(engine.config().vocab_size)) {
    engine.place({&engine.sequence(), token, true});
    walk_alone(engine.token_program().feed, {}, see);
    walk_alone(engine.token_program().classify, {}, see);
  }
  return of;
}

void expect_as_reference(const InputSquares& found, const PackedMatrix& matrix,
                         const std::map<const std::byte*, Reference>& reference) {
  ASSERT_EQ(std::ssize(found.counts), matrix.copies) << found.name;
  for (std::int64_t i = 0; i < matrix.copies; ++i) {
    const auto at = reference.find(matrix.data + i * matrix.matrix_bytes());
    const std::int64_t count = at == reference.end() ? 0 : at->second.count;
    EXPECT_EQ(found.counts[static_cast<std::size_t>(i)], count) << found.name << ", " << i;
    for (std::int64_t col = 0; col < found.cols; ++col) {
      ASSERT_EQ(found.sums[static_cast<std::size_t>(i * found.cols + col)],
                count == 0 ? 0 : at->second.sums[static_cast<std::size_t>(col)])
          << found.name << ", " << i << ", " << col;
    }
  }
}

class InputsOfFamily : public ::testing::TestWithParam<FamilyFile> {
 protected:
  const TempFile temp_{family_gguf(GetParam(), test::small_config(GetParam()), 5).content()};
  const ModelFile file_ = read_gguf_model(GgufFile(temp_.path()));
};

TEST_P(InputsOfFamily, AreThoseOfTokensOneByOne) {
  Engine engine = engine_of(file_, jit::Tier::scalar, 1);
  const auto reference = token_by_token(engine);
  const auto found = collected(file_, jit::host_tiers().back(), 3);
  const auto expect = [&](const std::string& name, const PackedMatrix& matrix) {
    ASSERT_TRUE(found.contains(name)) << name;
    expect_as_reference(found.at(name), matrix, reference);
  };
  const auto named = [](const Tensor& tensor) { return tensor.name.substr(0, tensor.name.find(" (")); };
  for (std::size_t i = 0; i < file_.layers.size(); ++i) {
    const LayerTensors& from = file_.layers[i];
    const LayerWeights& to = engine.weights().layers[i];
    expect(named(from.wq), to.wq);
    if (to.wv.exists()) expect(named(from.wv), to.wv);
    if (from.absorb.exists() && named(from.absorb) != named(from.raise)) {
      expect(named(from.absorb), to.latent.absorb);
      expect(named(from.raise), to.latent.raise);
    }
    expect(named(from.wo), to.wo);
    if (from.gate.exists()) expect(named(from.gate), to.gate_up);
    expect(named(from.up), to.gate_up);
    expect(named(from.down), to.down);
    if (from.router.exists()) expect(named(from.router), to.router);
    if (from.shared_down.exists()) expect(named(from.shared_down), to.shared_down);
    if (from.shared_gate.exists()) expect(named(from.shared_gate), to.shared_gate_up);
  }
  expect(named(file_.classifier), engine.weights().classifier);
}

// Every tensor that would be quantised, with a sum for each of its columns.
TEST_P(InputsOfFamily, BelongToTheFilesTensors) {
  const auto found = collected(file_, jit::host_tiers().back(), 1, false);
  const GgufFile file(temp_.path());
  for (const auto& [name, of] : found) {
    const GgufTensor* const tensor = file.find_tensor(name);
    ASSERT_NE(tensor, nullptr) << name;
    EXPECT_EQ(of.cols, tensor->dims[0]) << name;
    EXPECT_EQ(std::ssize(of.counts), tensor->dims[2]) << name;
  }
  for (const GgufTensor& tensor : file.tensors()) {
    if (!tensor.name.starts_with("blk.") || !is_quantized(tensor.name, tensor.n_dims)) continue;
    const bool of_later_layer = std::stoul(std::string(tensor.name.substr(4))) >= file_.layers.size();
    if (!of_later_layer && !tensor.name.ends_with("attn_kv_b.weight")) {
      EXPECT_TRUE(found.contains(std::string(tensor.name))) << tensor.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, InputsOfFamily, ::testing::ValuesIn(test::kFamilyFiles),
                         [](const auto& family) {
                           std::string name(family.param.name);
                           std::ranges::replace_if(
                               name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
                           return fmt::format("{}_{}", name, family.index);
                         });

// Inputs are floats whatever becomes of them: experts' come from where they were rounded.
TEST(InputsThatAreRounded, ExpertsTakeWhatTheirRouterTakes) {
  const FamilyFile& family = *std::ranges::find(test::kFamilyFiles, "qwen3moe", &FamilyFile::name);
  const test::MatrixEncoding bf16{test::kBf16, [](const std::vector<float>& weights) {
                                    return test::encode_tensor(weights, test::kBf16);
                                  }};
  const TempFile temp(family_gguf(family, test::small_config(family), 5, bf16).content());
  const ModelFile file = read_gguf_model(GgufFile(temp.path()));
  ASSERT_TRUE(as_pairs(file.layers[1].up.format, Bf16Products::stored_so));
  const auto found = collected(file, jit::host_tiers().back(), 2);
  const InputSquares &router = found.at("blk.1.ffn_gate_inp.weight"),
                     &up = found.at("blk.1.ffn_up_exps.weight"),
                     &down = found.at("blk.1.ffn_down_exps.weight");
  EXPECT_EQ(down.counts, up.counts);
  std::int64_t count = 0;
  for (const std::int64_t of : up.counts) count += of;
  EXPECT_EQ(count, kTokens * family.used);
  for (std::int64_t col = 0; col < up.cols; ++col) {
    double sum = 0;
    for (std::int64_t i = 0; i < std::ssize(up.counts); ++i)
      sum += up.sums[static_cast<std::size_t>(i * up.cols + col)];
    const double expected = family.used * router.sums[static_cast<std::size_t>(col)];
    EXPECT_NEAR(sum, expected, 1e-12 * expected) << col;
  }
  for (std::int64_t i = 0; i < std::ssize(down.counts); ++i) {
    const bool any = down.sums[static_cast<std::size_t>(i * down.cols)] > 0;
    EXPECT_EQ(any, down.counts[static_cast<std::size_t>(i)] > 0) << i;
  }
}

class InputsOfCheckpoint : public ::testing::Test {
 protected:
  test::CheckpointWeights weights_ =
      test::random_weights(test::toy_config(64, 96, 2, 4, 2, 50, 320, true), 2);
};

TEST_F(InputsOfCheckpoint, HaveNamesOfGguf) {
  const TempFile temp(write_v0(weights_));
  const auto found = collected(read_llama2c(temp.path()), jit::Tier::scalar, 1);
  std::vector<std::string> names;
  for (const auto& [name, of] : found) names.push_back(name);
  std::vector<std::string> expected;
  for (const int layer : {0, 1}) {
    for (const char* part : {"attn_k", "attn_output", "attn_q", "attn_v", "ffn_down", "ffn_gate", "ffn_up"}) {
      expected.push_back(fmt::format("blk.{}.{}.weight", layer, part));
    }
  }
  expected.emplace_back("token_embd.weight");
  EXPECT_EQ(names, expected);
}

// More tokens than go through a matrix together, twice.
TEST_F(InputsOfCheckpoint, AddUpFromTextToText) {
  const TempFile temp(write_v0(weights_));
  const ModelFile file = read_llama2c(temp.path());
  Engine engine = engine_of(file, jit::host_tiers().back(), 2);
  InputCollector collector(engine, file, true);
  std::vector<TokenId> tokens;
  for (int pos = 0; pos < 300; ++pos) tokens.push_back((pos * 31 + 1) % 50);
  ASSERT_GT(std::ssize(tokens), engine.chunk());
  collector.feed(tokens);
  const std::vector<InputSquares> once = collector.result();
  collector.feed(tokens);
  const std::vector<InputSquares> twice = collector.result();
  ASSERT_EQ(once.size(), twice.size());
  for (std::size_t i = 0; i < once.size(); ++i) {
    EXPECT_EQ(once[i].counts.front(), 300);
    EXPECT_EQ(twice[i].counts.front(), 600);
    for (std::size_t col = 0; col < once[i].sums.size(); ++col) {
      EXPECT_NEAR(twice[i].sums[col], 2 * once[i].sums[col], 1e-12 * twice[i].sums[col]);
    }
  }
}

TEST_F(InputsOfCheckpoint, ThatAreNoNumbersAreAnError) {
  std::ranges::fill(weights_.layers[1].att_norm, std::numeric_limits<float>::max());
  const TempFile temp(write_v0(weights_));
  try {
    collected(read_llama2c(temp.path()), jit::Tier::scalar, 1);
    FAIL() << "nothing was refused";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr(temp.path()), HasSubstr("expected finite numbers, found a sum of"),
                      HasSubstr("blk.1.")));
  }
}

}  // namespace
}  // namespace llamajit::input_squares_test
