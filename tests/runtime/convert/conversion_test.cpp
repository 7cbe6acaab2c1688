// Models as GGUF files without a loss, or with a known
// one: codes that are taken over, scales that are rounded.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jit/base/scalar_math.h"
#include "runtime/convert/conversion_source.h"
#include "runtime/convert/quantization.h"
#include "runtime/files/ggml_legacy_model.h"
#include "runtime/files/gguf_tokenizer.h"
#include "runtime/files/model_reader.h"
#include "runtime/files/tokenizer_bin.h"
#include "runtime/forward/engine.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/legacy_writer.h"
#include "tests/support/test_data.h"
#include "tests/support/toy_model.h"

namespace llamajit::test::conversion_test {
namespace {

using ::testing::HasSubstr;

// With the feed-forward's size that legacy files give it.
const Config kConfig = toy_config(64, 192, 2, 4, 4, kAlphabetSize, 32, false);

class Conversion : public ::testing::Test {
 protected:
  std::string out() const { return directory_.path() + "/out.gguf"; }
  std::string write(const std::string& content) const { return directory_.write("model.bin", content); }
  std::string write_legacy(const LegacyOptions& options) const {
    return write(legacy_files(weights_, alphabet(), options).front());
  }
  Quantization convert(const std::string& in, const std::optional<std::string>& tokenizer = {}) const {
    const ConversionSource source = open_conversion_source(in, tokenizer);
    return quantize_model(source, out(), choices_of(source.own_type), 2, {});
  }
  static QuantizationChoices choices_of(std::string_view type) {
    QuantizationChoices choices;
    choices.type = find_quantization_type(type);
    choices.pure = true;
    return choices;
  }
  static std::vector<float> logits_of(const std::string& path) {
    const ModelFile file = read_model(path);
    Engine engine(file, {{jit::host_tiers().back()}, 1, kConfig.seq_len, {jit::ElementType::f32}});
    std::vector<float> all;
    for (int pos = 0; pos < 5; ++pos) {
      engine.feed(pos * 3 + 1, pos, true);
      all.insert(all.end(), engine.logits().begin(), engine.logits().end());
    }
    return all;
  }
  static double largest_error(const Quantization& done) {
    return std::ranges::max_element(done.tensors, {}, &QuantizedTensor::relative_error)->relative_error;
  }

  TempDirectory directory_;
  CheckpointWeights weights_ = random_weights(kConfig, 5);
};

TEST_F(Conversion, FloatsAreCopied) {
  for (const std::string& in : {write(write_v0(weights_)), write(write_v1(weights_)),
                                write_legacy({.ftype = 0}), write_legacy({.ftype = 1})}) {
    const Quantization done = convert(in);
    EXPECT_EQ(largest_error(done), 0);
    EXPECT_EQ(done.tensors.front().to, done.tensors.front().from);
    EXPECT_EQ(logits_of(out()), logits_of(in));
  }
  EXPECT_EQ(GgufFile(out()).integer("general.file_type", 0, 99), 1) << "F16";
}

TEST_F(Conversion, Int8GroupsOf32sBecomeQ8_0WithTheSameCodes) {
  for (const int group : {32, 64}) {
    const Quantization done = convert(write(write_v2(weights_, group)));
    EXPECT_LT(largest_error(done), 3e-4);
    const GgufFile file(out());
    const GgufTensor& tensor = *file.find_tensor("blk.1.ffn_down.weight");
    ASSERT_EQ(tensor.type->name, "Q8_0");
    const Quantized expected = quantize_q8_0(weights_.layers[1].down, group);
    for (std::size_t block = 0; block < tensor.data.size() / 34; ++block) {
      const std::byte* const bytes = tensor.data.data() + block * 34;
      const std::uint16_t scale =
          jit::float_to_half(expected.scales[block * 32 / static_cast<std::size_t>(group)]);
      ASSERT_EQ(std::memcmp(bytes, &scale, 2), 0) << block;
      ASSERT_EQ(std::memcmp(bytes + 2, expected.codes.data() + block * 32, 32), 0) << block;
    }
  }
}

// With scales that f16 has, nothing is lost. Groups that are no 32s become the floats that they stand for.
TEST_F(Conversion, Int8IsExactWhereItCanBe) {
  const auto make_exact = [](std::vector<float>& matrix) {
    for (std::size_t i = 0; i < matrix.size(); ++i)
      matrix[i] = i % 16 == 0 ? 127.0F / 128 : std::round(matrix[i] * 32) / 128;
  };
  make_exact(weights_.embedding);
  make_exact(weights_.classifier);
  for (auto& l : weights_.layers) {
    for (auto* matrix : {&l.wq, &l.wk, &l.wv, &l.wo, &l.gate, &l.down, &l.up}) make_exact(*matrix);
  }
  const std::string in = write(write_v2(weights_, 32));
  EXPECT_EQ(largest_error(convert(in)), 0);
  EXPECT_EQ(logits_of(out()), logits_of(in));
  EXPECT_EQ(largest_error(convert(write(write_v2(weights_, 16)))), 0);
  const ModelFile model = read_model(out());
  EXPECT_EQ(to_string(model.embedding.format), "f32");
  const CheckpointWeights read = weights_of(model);
  EXPECT_EQ(read.embedding, weights_.embedding);
  EXPECT_EQ(read.layers[1].up, weights_.layers[1].up);
}

TEST_F(Conversion, LegacyBlocksKeepTheirCodes) {
  for (const int ftype : {2, 3}) {
    const LegacyOptions exact{.ftype = ftype, .half_scales = true};
    const std::string in = write_legacy(exact);
    const Quantization done = convert(in);
    EXPECT_EQ(largest_error(done), 0);
    EXPECT_EQ(done.tensors.front().to, ftype == 2 ? "Q4_0" : "Q4_1");
    EXPECT_EQ(logits_of(out()), logits_of(in));
    const Quantization rounded = convert(write_legacy({.ftype = ftype}));
    EXPECT_GT(largest_error(rounded), 0);
    EXPECT_LT(largest_error(rounded), 1e-3);
    EXPECT_EQ(rounded.tensors.front().from, ftype == 2 ? "Q4_0/f32" : "Q4_1/f32");
  }
}

TEST_F(Conversion, LegacyPartsBecomeOneFile) {
  const auto parts = legacy_files(weights_, alphabet(), {.ftype = 1, .n_parts = 2});
  directory_.write("model.bin.1", parts[1]);
  const std::string in = write(parts[0]);
  EXPECT_EQ(open_conversion_source(in, {}).paths.size(), 2);
  convert(in);
  EXPECT_EQ(logits_of(out()), logits_of(in));
  EXPECT_THROW(quantize_model(open_conversion_source(in, {}), in + ".1", choices_of("F16"), 1, {}),
               std::runtime_error)
      << "a part of the model";
}

TEST_F(Conversion, RefusesScalesThatF16HasNot) {
  for (float& weight : weights_.layers[1].wk) weight *= 1e8F;
  for (const std::string& in : {write(write_v2(weights_, 32)), write_legacy({.ftype = 2})}) {
    try {
      convert(in);
      FAIL() << "nothing was refused";
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), HasSubstr("blk.1.attn_k.weight: expected weights in Q"));
    }
    EXPECT_FALSE(std::filesystem::exists(out()));
  }
}

// Quantising takes legacy files, too: what is quantised already stays in its format alone.
TEST_F(Conversion, LegacyFilesAreQuantised) {
  const auto quantize = [&](int ftype, const char* type) {
    return quantize_model(open_conversion_source(write_legacy({.ftype = ftype}), {}), out(), choices_of(type),
                          1, {});
  };
  for (const int ftype : {0, 1}) EXPECT_LT(largest_error(quantize(ftype, "Q8_0")), 0.006);
  EXPECT_LT(largest_error(quantize(2, "Q4_0")), 4e-4);
  for (const auto& [ftype, type] : {std::pair(2, "Q4_1"), std::pair(2, "F32"), std::pair(3, "Q4_K_M")}) {
    EXPECT_THROW(quantize(ftype, type), std::runtime_error) << type;
  }
}

TEST_F(Conversion, LegacyVocabulariesGoIn) {
  convert(write_legacy({}));
  const auto tokenizer = read_gguf_tokenizer(GgufFile(out()));
  EXPECT_EQ(tokenizer->encode("ab"), (std::vector<TokenId>{1, 3, 4, 5}));
  EXPECT_EQ(tokenizer->vocab()[2].kind, PieceKind::control);
  // One that is named goes before it.
  std::vector<std::string> other = alphabet();
  std::swap(other[4], other[5]);
  convert(write_legacy({}), directory_.write("tokenizer.bin", tokenizer_file(other)));
  EXPECT_EQ(read_gguf_tokenizer(GgufFile(out()))->encode("ab"), (std::vector<TokenId>{1, 3, 5, 4}));
  EXPECT_EQ(
      open_conversion_source(directory_.write("a.gguf", llama_gguf(weights_, kF32).content()), {}).own_type,
      "");
}

// LLaMA's pieces get the scores that they have in its own tokenizer, so that the same ids come out.
TEST_F(Conversion, LegacyScoresAreThoseOfLlama) {
  const std::string path = test_data("tokenizer.bin");
  LLAMAJIT_REQUIRE_FILE(path);
  const Vocab llama = read_tokenizer_bin(path, 32000);
  std::vector<std::string> pieces;
  pieces.reserve(static_cast<std::size_t>(llama.size()));
  for (TokenId id = 0; id < llama.size(); ++id) pieces.push_back(id < 3 ? "" : llama[id].bytes);
  const CheckpointWeights tiny = random_weights(toy_config(2, 6, 1, 1, 1, 32000, 32, false), 1);
  convert(write(legacy_files(tiny, pieces, {.n_mult = 2}).front()));
  const auto tokenizer = read_gguf_tokenizer(GgufFile(out()));
  ASSERT_EQ(tokenizer->vocab().size(), llama.size());
  for (TokenId id = 3; id < llama.size(); ++id) {
    const Piece &found = tokenizer->vocab()[id], &expected = llama[id];
    ASSERT_EQ(found.bytes, expected.bytes) << id;
    ASSERT_EQ(found.score, expected.score) << id;
    ASSERT_EQ(found.kind, expected.kind) << id;
  }
}

}  // namespace
}  // namespace llamajit::test::conversion_test
