// Legacy ggml files: the same logits as the same weights in files of today, and clear errors.
#include "runtime/files/ggml_legacy.h"

#include <cstring>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "jit/base/scalar_math.h"
#include "runtime/files/ggml_legacy_model.h"
#include "runtime/files/model_reader.h"
#include "runtime/forward/engine.h"
#include "runtime/measure/verify.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/legacy_writer.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::ggml_legacy_test {
namespace {

using test::CheckpointWeights;
using test::LegacyBlock;
using test::LegacyOptions;
using test::TempDirectory;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kTokens = 19;  // one more than a group of sixteen positions, and some

// hidden_dim is 2 * (4 * 64) / 3 rounded up to a multiple of 32.
const Config kConfig = test::toy_config(64, 192, 2, 4, 4, test::kAlphabetSize, 32, false);

// Writes the parts as model.bin, model.bin.1, …; returns the first.
std::string write_parts(const TempDirectory& directory, const std::vector<std::string>& parts) {
  for (std::size_t i = 1; i < parts.size(); ++i) directory.write(fmt::format("model.bin.{}", i), parts[i]);
  return directory.write("model.bin", parts.front());
}
std::string write_legacy(const TempDirectory& directory, const LegacyOptions& options) {
  return write_parts(directory, legacy_files(test::random_weights(kConfig, 5), test::alphabet(), options));
}

// Returns the logits of kTokens tokens one by one, then of all of them as a prompt.
std::vector<float> logits_of(const std::string& path, jit::Tier tier, int threads) {
  const ModelFile file = read_model(path);
  Engine engine(file, {{tier}, threads, kConfig.seq_len});
  std::vector<TokenId> tokens;
  std::vector<float> all;
  for (int pos = 0; pos < kTokens; ++pos) {
    tokens.push_back((pos * 31 + 1) % kConfig.vocab_size);
    engine.feed(tokens.back(), pos, true);
    all.insert(all.end(), engine.logits().begin(), engine.logits().end());
  }
  engine.feed_all(tokens, 0);
  all.insert(all.end(), engine.logits().begin(), engine.logits().end());
  return all;
}

void expect_same_logits(const std::string& path, const std::string& reference) {
  for (const auto& [tier, threads] :
       {std::pair(jit::Tier::scalar, 1), std::pair(jit::host_tiers().back(), 3)}) {
    const std::vector<float> logits = logits_of(path, tier, threads);
    const std::vector<float> expected = logits_of(reference, tier, threads);
    ASSERT_EQ(logits.size(), expected.size());
    EXPECT_EQ(std::memcmp(logits.data(), expected.data(), logits.size() * sizeof(float)), 0);
  }
}

// --- the container ---

TEST(GgmlLegacyFile, HoldsHeaderVocabularyAndTensors) {
  const TempDirectory directory;
  const std::string path = write_legacy(directory, {.ftype = 3, .n_parts = 2});
  EXPECT_TRUE(is_ggml_legacy(path));
  const GgmlLegacyFile file(path);
  EXPECT_EQ(file.path(), path);
  ASSERT_EQ(file.parts().size(), 2);
  EXPECT_EQ(file.header().n_embd, 64);
  EXPECT_EQ(file.header().n_rot, 16);
  EXPECT_EQ(file.header().hidden_dim(), 192);
  EXPECT_TRUE(std::ranges::equal(file.pieces(), test::alphabet()));
  ASSERT_EQ(file.tensors().size(), 2 * (3 + 2 * 9));
  const GgmlLegacyTensor& wo = *file.find("layers.1.attention.wo.weight", 1);
  EXPECT_EQ(std::tuple(wo.rows, wo.cols, wo.part), std::tuple(64, 32, 1));
  EXPECT_EQ(wo.data.size(), 64 * 24);
  EXPECT_EQ(wo.data.data(), file.parts()[1].bytes().data() + wo.offset);
  EXPECT_EQ(file.find("layers.2.attention.wo.weight", 1), nullptr);
}

TEST(GgmlLegacyFile, OthersAreNot) {
  const TempDirectory directory;
  EXPECT_FALSE(is_ggml_legacy(directory.write("a", write_v0(test::random_weights(kConfig, 5)))));
  EXPECT_FALSE(is_ggml_legacy(directory.write("b", "lmg")));
  EXPECT_THROW(is_ggml_legacy(directory.path() + "/c"), std::runtime_error);
}

// LLaMA's four sizes: dim, and the feed-forward's.
TEST(GgmlLegacyHeader, KnowsTheFeedForwardsSize) {
  for (const auto& [dim, hidden] :
       {std::pair(4096, 11008), std::pair(5120, 13824), std::pair(6656, 17920), std::pair(8192, 22016)}) {
    GgmlLegacyHeader header;
    header.n_embd = dim;
    header.n_mult = 256;
    EXPECT_EQ(header.hidden_dim(), hidden);
  }
}

// --- the weights ---

class GgmlLegacyModel : public ::testing::TestWithParam<std::tuple<int, int>> {
 protected:
  LegacyOptions options_{.ftype = std::get<0>(GetParam()), .n_parts = std::get<1>(GetParam())};
  CheckpointWeights weights_ = test::random_weights(kConfig, 5);
  TempDirectory directory_;
};

// Exactly, scales of 32 bits included, and however they are split.
TEST_P(GgmlLegacyModel, HasTheFilesWeights) {
  const ModelFile model =
      read_model(write_parts(directory_, legacy_files(weights_, test::alphabet(), options_)));
  EXPECT_EQ(model.config.n_kv_heads, 4);
  EXPECT_EQ(model.config.seq_len, 2048);
  EXPECT_FALSE(model.config.shared_classifier);
  const auto expect = [&](const Tensor& tensor, const std::vector<float>& floats) {
    const bool is_vector = tensor.rows == 1;
    const std::vector<float> values = is_vector ? floats : legacy_values(floats, options_);
    ASSERT_EQ(tensor.rows * tensor.cols, static_cast<std::int64_t>(values.size()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      ASSERT_EQ(source_value(source(tensor), at / tensor.cols, at % tensor.cols), values[i])
          << tensor.name << ", " << i;
    }
  };
  expect(model.embedding, weights_.embedding);
  expect(model.classifier, weights_.classifier);
  expect(model.final_norm, weights_.final_norm);
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const LayerTensors& layer = model.layers[i];
    const auto& from = weights_.layers[i];
    for (const auto& [tensor, floats] :
         {std::pair(&layer.att_norm, &from.att_norm), std::pair(&layer.wq, &from.wq),
          std::pair(&layer.wk, &from.wk), std::pair(&layer.wv, &from.wv), std::pair(&layer.wo, &from.wo),
          std::pair(&layer.ffn_norm, &from.ffn_norm), std::pair(&layer.gate, &from.gate),
          std::pair(&layer.down, &from.down), std::pair(&layer.up, &from.up)}) {
      expect(*tensor, *floats);
    }
  }
}

// Packed exactly, and computed as the twins do on every tier.
TEST_P(GgmlLegacyModel, IsVerified) {
  const ModelFile model =
      read_model(write_parts(directory_, legacy_files(weights_, test::alphabet(), options_)));
  EXPECT_EQ(verify_packing(model), 0);
  for (const jit::Tier tier : jit::host_tiers()) {
    for (const VerifyRow& row : verify_kernels(model, {tier})) EXPECT_EQ(row.different, 0) << row.kernel;
  }
}

INSTANTIATE_TEST_SUITE_P(FtypesAndParts, GgmlLegacyModel,
                         ::testing::Combine(::testing::Range(0, 4), ::testing::Values(1, 2)));

TEST(GgmlLegacyLogits, PartsAreTheWhole) {
  for (const int ftype : {1, 2, 3}) {
    const TempDirectory whole, parts;
    expect_same_logits(write_legacy(parts, {.ftype = ftype, .n_parts = 2}),
                       write_legacy(whole, {.ftype = ftype}));
  }
}

// The matrix in ggml's blocks of today, whose nibbles are those of i and 16 + i.
std::string gguf_blocks(const std::vector<float>& matrix, const LegacyOptions& options) {
  std::string out;
  for (std::size_t i = 0; i < matrix.size(); i += 32) {
    const LegacyBlock block = legacy_block(matrix.data() + i, options);
    out += test::bytes_of(jit::float_to_half(block.scale));
    if (options.ftype == 3) out += test::bytes_of(jit::float_to_half(block.min));
    for (int k = 0; k < 16; ++k) out += static_cast<char>(block.codes[k] | block.codes[16 + k] << 4);
  }
  return out;
}

// The same model as GGUF, its matrices in blocks.
test::GgufWriter quantized_gguf(const CheckpointWeights& weights, const LegacyOptions& options) {
  test::GgufWriter writer = llama_gguf(weights, test::kF32);
  const test::TempFile temp(writer.content());
  const GgufFile file(temp.path());
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.n_dims == 1) continue;
    std::vector<float> matrix(tensor.data.size() / sizeof(float));
    std::memcpy(matrix.data(), tensor.data.data(), tensor.data.size());
    writer.remove_tensor(tensor.name);
    writer.add_tensor(
        tensor.name, {static_cast<std::uint64_t>(tensor.dims[0]), static_cast<std::uint64_t>(tensor.dims[1])},
        static_cast<std::uint32_t>(options.ftype), gguf_blocks(matrix, options));
  }
  return writer;
}

TEST(GgmlLegacyLogits, AreThoseOfTheSameWeightsInAnotherFile) {
  const CheckpointWeights weights = test::random_weights(kConfig, 5);
  const TempDirectory directory;
  const auto legacy = [&](const LegacyOptions& options) {
    return write_parts(directory, legacy_files(weights, test::alphabet(), options));
  };
  expect_same_logits(legacy({.ftype = 0}), directory.write("v0.bin", write_v0(weights)));
  expect_same_logits(legacy({.ftype = 1}),
                     directory.write("f16.gguf", llama_gguf(weights, test::kF16).content()));
  for (const int ftype : {2, 3}) {
    const LegacyOptions options{.ftype = ftype, .half_scales = true};
    expect_same_logits(legacy(options),
                       directory.write("q4.gguf", quantized_gguf(weights, options).content()));
  }
}

// --- the vocabulary ---

TEST(GgmlLegacyVocab, HasKindsAndScores) {
  std::vector<std::string> pieces{" \u2047 ", "", ""};
  for (int byte = 0; byte < 256; ++byte) pieces.emplace_back(1, static_cast<char>(byte));
  for (const char* piece : {"  ", " t", "er", "a", "er"}) pieces.emplace_back(piece);
  Config config = kConfig;
  config.vocab_size = static_cast<int>(pieces.size());
  const TempDirectory directory;
  const std::string path = write_parts(directory, legacy_files(test::random_weights(config, 5), pieces, {}));
  const Vocab vocab = read_ggml_legacy_vocab(GgmlLegacyFile(path));
  ASSERT_EQ(vocab.size(), 264);
  EXPECT_EQ(vocab[0].kind, PieceKind::unknown);
  EXPECT_EQ(vocab[2].kind, PieceKind::control);
  EXPECT_EQ(vocab[3 + 0xED].kind, PieceKind::byte);
  EXPECT_EQ(vocab[259].score, -1e9F);  // as LLaMA's tokenizer.model has them
  EXPECT_EQ(vocab[260].score, -1.0F);
  EXPECT_EQ(vocab.find("er"), 263) << "of equal pieces the last";
  EXPECT_EQ(vocab[261].kind, PieceKind::unused);
  EXPECT_EQ(vocab.find("a"), 262);
}

// --- errors ---

class GgmlLegacyErrors : public ::testing::Test {
 protected:
  void expect(const std::function<void(std::string&)>& damage, const std::string& message, int part = 0) {
    std::vector<std::string> parts = parts_;
    damage(parts[static_cast<std::size_t>(part)]);
    const std::string path = write_parts(directory_, parts);
    const std::string named = part == 0 ? path : fmt::format("{}.{}", path, part);
    try {
      read_model(path);
      ADD_FAILURE() << "expected: " << message;
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr(named + ": "), HasSubstr(message)));
    }
  }
  // A number of the header.
  void expect_of_header(std::size_t index, std::int32_t number, const std::string& message) {
    expect([=](std::string& file) { std::memcpy(file.data() + 4 + 4 * index, &number, 4); }, message);
  }
  // A number of a tensor's description: 0 n_dims, 1 name_length, 2 ftype, 3 and 4 the shape.
  void expect_of_tensor(const std::string& name, std::size_t index, std::int32_t number,
                        const std::string& message, int part = 0) {
    expect(
        [=](std::string& file) {
          const std::size_t dims = name.find("norm") == std::string::npos ? 2 : 1;
          std::memcpy(file.data() + file.find(name) - 4 * (3 + dims) + 4 * index, &number, 4);
        },
        message, part);
  }
  static void rename(std::string& file, const std::string& from, const std::string& to) {
    file.replace(file.find(from), from.size(), to);
  }

  TempDirectory directory_;
  std::vector<std::string> parts_ =
      legacy_files(test::random_weights(kConfig, 5), test::alphabet(), {.ftype = 2, .n_parts = 2});
};

TEST_F(GgmlLegacyErrors, NameTheHeadersField) {
  parts_ = legacy_files(test::random_weights(kConfig, 5), test::alphabet(), {.ftype = 2});
  expect_of_header(0, 0, "header.n_vocab: expected a positive count up to 16777216, found 0");
  expect_of_header(1, -64, "header.n_embd: expected a positive count up to 1048576, found -64");
  expect_of_header(2, 1 << 30, "header.n_mult: expected a positive count up to 1048576, found 1073741824");
  expect_of_header(
      3, 3, "header.n_head: expected a divisor of n_embd 64 that makes heads of an even size, found 3");
  expect_of_header(3, 64, "header.n_head: expected a divisor of n_embd 64");
  expect_of_header(4, 1 << 15, "header.n_layer: expected a positive count up to 16384, found 32768");
  expect_of_header(5, 8, "header.n_rot: expected 16, n_embd / n_head, found 8");
  expect_of_header(6, 4, "header.ftype: expected 0 (F32), 1 (F16), 2 (Q4_0) or 3 (Q4_1), found 4");
  // Consistent in itself, but not with the tensors.
  expect_of_header(4, 3, "layers.2.attention_norm.weight: expected a tensor of this name, found none");
  expect_of_header(4, 1, "layers.1.attention.wq.weight: expected tensors that a LLaMA has, found another");
  expect_of_header(2, 31, "layers.0.feed_forward.w1.weight: expected shape (186, 64), found (192, 64)");
  expect_of_header(6, 3, "tok_embeddings.weight: expected Q4_1/f32, found Q4_0/f32");
}

TEST_F(GgmlLegacyErrors, NameTheTensor) {
  const std::string wk = "layers.1.attention.wk.weight", norm = "layers.0.ffn_norm.weight";
  expect_of_tensor(wk, 0, 3, "].n_dims: expected 1 or 2, found 3");
  expect_of_tensor(wk, 1, -1, "].name: expected 4294967295 bytes at offset");
  expect_of_tensor(wk, 2, 7, wk + " (ftype): expected 0, 1, 2 or 3, found 7");
  expect_of_tensor(wk, 3, -1, wk + ": expected a shape of positive counts, found (32, -1)");
  expect_of_tensor(wk, 3, 63, wk + ": expected rows of whole blocks of 32 weights, found rows of 63");
  expect_of_tensor(wk, 4, 1 << 30, wk + ": expected 42949672960 bytes at offset");
  expect_of_tensor("norm.weight", 2, 1, "expected");
  expect([&](std::string& file) { rename(file, wk, "layers.1.attention.wq.weight"); },
         "layers.1.attention.wq.weight: expected no tensor of a name that was there before, found one");
  expect([&](std::string& file) { rename(file, wk, "layers.1.attention.wx.weight"); },
         wk + ": expected a tensor of this name, found none");
  expect([&](std::string& file) { rename(file, norm, "layers.0.ffn_norm.weighT"); },
         norm + ": expected a tensor of this name, found none");
  expect([&](std::string& file) { rename(file, wk, "layers.1.attention.wk\nweight"); },
         "].name: expected no control characters, found 'layers.1.attention.wk\\x0Aweight'");
  expect([&](std::string& file) { rename(file, "tok_embeddings", "tok_embeddingx"); },
         "tok_embeddings.weight: expected a tensor of this name, found none");
}

TEST_F(GgmlLegacyErrors, NameThePart) {
  expect([](std::string& file) { file[4] = 29; }, "header and vocabulary: expected those of", 1);
  expect([](std::string& file) { file.resize(20); }, "header and vocabulary: expected", 1);
  expect([&](std::string& file) { rename(file, "layers.1.attention.wo", "layers.1.attention.wx"); },
         "layers.1.attention.wo.weight: expected a tensor of this name, found none", 1);
  expect([&](std::string& file) { file.resize(file.size() - 1); },
         "layers.1.ffn_norm.weight: expected 256 bytes", 1);
  const std::string path = write_parts(directory_, parts_);
  std::filesystem::remove(path + ".1");
  try {
    read_model(path);
    ADD_FAILURE();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr(path + ".1: cannot open: No such file"));
  }
}

}  // namespace
}  // namespace llamajit::ggml_legacy_test
