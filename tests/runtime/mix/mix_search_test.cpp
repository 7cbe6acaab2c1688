// A mix of formats by what matrices lose: a toy model, in two formats or three.
#include "runtime/mix/mix_search.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jit/code/isa_choice.h"
#include "runtime/convert/quantization.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/toy_model.h"

namespace llamajit::test::mix_search_test {
namespace {

using jit::FormatKind;
using ::testing::HasSubstr;

constexpr int kVocab = 96;

class Mix : public ::testing::Test {
 protected:
  Mix() {
    for (int i = 0; i < 60; ++i) tokens_.push_back((i * i * 7 + 3 * i + 1) % kVocab);
  }
  LossMeter meter(jit::Tier tier, int threads) const {
    return {model_, tokens_, {32, 32}, {.isa = {tier}, .threads = threads, .context = 32}};
  }
  MixSearch search(double bits,
                   std::vector<FormatKind> formats = {FormatKind::q4_0, FormatKind::q8_0}) const {
    return {source_, {bits, std::move(formats)}};
  }
  static std::vector<FormatKind> chosen(const MixSearch& search) {
    std::vector<FormatKind> kinds;
    for (const MixPart& part : search.parts()) kinds.push_back(part.choice().kind);
    return kinds;
  }
  static const MixPart& part_with(const MixSearch& search, std::string_view name) {
    return *std::ranges::find_if(search.parts(), [&](const MixPart& part) {
      return std::ranges::any_of(part.tensors, [&](const ConversionTensor* t) { return t->name == name; });
    });
  }

  TempDirectory directory_;
  CheckpointWeights weights_ = random_weights(toy_config(64, 96, 2, 4, 2, kVocab, 64, false), 1);
  std::string model_ = directory_.write("model.gguf", llama_gguf(weights_, kF32).content());
  ConversionSource source_ = open_conversion_source(model_, std::nullopt);
  std::vector<TokenId> tokens_;
};

TEST_F(Mix, HasNoMoreBitsThanItMayAndLosesWhatItSays) {
  const LossMeter meter = this->meter(jit::host_tiers().back(), 2);
  EXPECT_EQ(meter.predictions(), 58);
  double before = 1;
  for (const double bits : {5.2, 6.0, 7.0, 9.0}) {
    MixSearch search = this->search(bits);
    search.measure(meter, 2, [](std::string_view, std::size_t) {});
    search.choose();
    const std::string out = directory_.path() + "/out.gguf";
    const Quantization done = quantize_model(source_, out, search.choices(), 2, {});
    double bytes = 0, weights = 0;
    for (const QuantizedTensor& t : done.tensors) {
      bytes += static_cast<double>(t.bytes);
      double n = 1;
      for (const std::int64_t dim : t.dims) n *= static_cast<double>(dim);
      weights += n;
      const bool is_matrix = !t.name.ends_with("norm.weight");
      EXPECT_EQ(t.to, is_matrix ? ggml_name(part_with(search, t.name).choice().kind) : "F32") << t.name;
    }
    EXPECT_LE(8 * bytes / weights, bits);
    EXPECT_GT(8 * bytes / weights, bits - 0.7);
    // Errors of all together are nearly those of each, added up.
    const double measured = meter.divergence_of(out);
    EXPECT_NEAR(measured, search.predicted_loss(), 0.5 * search.predicted_loss()) << bits;
    EXPECT_LT(search.predicted_loss(), before);
    before = search.predicted_loss();
  }
}

TEST_F(Mix, IsTheSameOnEveryTierAndThread) {
  std::vector<std::vector<double>> losses;
  for (const auto& [tier, threads] :
       {std::pair(jit::host_tiers().back(), 1), std::pair(jit::Tier::scalar, 3)}) {
    MixSearch search = this->search(6);
    search.measure(meter(tier, threads), threads, [](std::string_view, std::size_t) {});
    std::vector<double>& of = losses.emplace_back();
    for (const MixPart& part : search.parts()) {
      for (const MixOption& option : part.options) of.push_back(option.loss);
    }
  }
  EXPECT_EQ(losses[0], losses[1]);
}

TEST_F(Mix, GateAndUpAreOnePart) {
  const MixSearch search = this->search(6);
  EXPECT_EQ(search.parts().size(), 2 + 2 * 6);  // embedding, classifier; q, k, v, output, gate and up, down
  EXPECT_EQ(search.measurements(), 2 * search.parts().size());
  const MixPart& up = part_with(search, "blk.1.ffn_up.weight");
  EXPECT_EQ(up.tensors.size(), 2);
  EXPECT_EQ(&up, &part_with(search, "blk.1.ffn_gate.weight"));
  EXPECT_EQ(up.options[0].bytes, 2 * 64 * 96 / 32 * 18);
}

TEST_F(Mix, FormatsThatDoNotDivideRowsAreLeftOut) {
  const MixSearch search = this->search(16, {FormatKind::q2_0, FormatKind::q4_0, FormatKind::q4_k});
  EXPECT_EQ(part_with(search, "blk.0.ffn_up.weight").options.size(), 2);
  EXPECT_EQ(part_with(search, "blk.0.ffn_down.weight").options.size(), 1);  // rows of 96
  const MixSearch none = this->search(17, {FormatKind::q4_k});
  EXPECT_EQ(part_with(none, "blk.0.ffn_up.weight").options[0].kind, FormatKind::f16);
}

TEST_F(Mix, FormatsThatAreGivenStay) {
  MixRequest request{8, {FormatKind::q4_0, FormatKind::q8_0}};
  request.fixed.output = FormatKind::f16;
  MixSearch search(source_, request);
  EXPECT_EQ(search.parts().size(), 1 + 2 * 6);
  search.choose();
  const QuantizationChoices choices = search.choices();
  EXPECT_EQ(choose_format(choices, source_.outline, {"output.weight", 64}).kind, FormatKind::f16);
  EXPECT_FALSE(choices.by_name.contains("output.weight"));
}

TEST_F(Mix, TooFewBitsAreAnErrorThatSaysHowMany) {
  try {
    search(4.5);
    FAIL() << "nothing was refused";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("--target-bits: expected at least 4."));
    EXPECT_THAT(error.what(), HasSubstr("found 4.5"));
  }
}

// Layers of a deep model are joined until there are few parts.
TEST_F(Mix, NeighbouringLayersAreOnePartWhereThereAreMany) {
  const CheckpointWeights deep = random_weights(toy_config(32, 32, 24, 2, 1, kVocab, 64, false), 1);
  const std::string path = directory_.write("deep.gguf", llama_gguf(deep, kF32).content());
  const ConversionSource source = open_conversion_source(path, std::nullopt);
  const MixSearch search(source, {17, {FormatKind::q4_0, FormatKind::q8_0}});
  EXPECT_EQ(search.parts().size(), 2 + 8 * 6);
  EXPECT_EQ(part_with(search, "blk.3.attn_q.weight").tensors.size(), 3);
  EXPECT_EQ(&part_with(search, "blk.3.attn_q.weight"), &part_with(search, "blk.5.attn_q.weight"));
}

}  // namespace
}  // namespace llamajit::test::mix_search_test
