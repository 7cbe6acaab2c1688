// Damaged GGUF files all the way into the engine and the
// tokenizer: an error or a model, soon, and never a signal.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "runtime/files/gguf_model.h"
#include "runtime/files/gguf_tokenizer.h"
#include "runtime/forward/engine.h"
#include "tests/support/damage.h"
#include "tests/support/family_writer.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::damaged_gguf_test {
namespace {

using test::fails_cleanly;
using test::TempFile;
using ::testing::HasSubstr;

const Config kConfig = test::toy_config(32, 32, 1, 2, 1, 10, 12, false);

std::string content_of(std::uint32_t type) {
  auto w = llama_gguf(test::random_weights(kConfig, 7), type);
  add_llama_tokenizer(w, {"<unk>", "<s>", "</s>", "\u2581", "a", "b", "ab", "\u2581ab", "c", "d"});
  return w.content();
}

// The metadata and the tensors' descriptions.
std::size_t header_bytes(const std::string& content) {
  const TempFile temp(content);
  return GgufFile(temp.path()).tensors().front().offset;
}

// With its tokenizer, and feeds a token.
void load(const std::string& path) {
  GgufFile file(path);
  const auto tokenizer = read_gguf_tokenizer(file);
  for (const TokenId id : tokenizer->encode("ab</s> ab\xFF", {.special = true})) tokenizer->decode(1, id);
  const ModelFile model = read_gguf_model(std::move(file));
  Engine engine(model, {{jit::Tier::scalar}, 1, 0});
  engine.feed(1, 0, true);
  EXPECT_EQ(engine.logits().size(), static_cast<std::size_t>(model.config.vocab_size));
}

class DamagedGguf : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  const std::string content_ = content_of(GetParam());
  const std::size_t header_ = header_bytes(content_);
};

TEST_P(DamagedGguf, TruncatedAnywhereIsAnError) {
  TempFile temp(content_);
  load(temp.path());
  for (std::size_t i = 0; i < 1000; ++i) {
    const std::size_t size = content_.size() - 1 - (content_.size() - 1 - header_) * i / 1000;
    temp.resize(size);
    // The last tensor ends with padding.
    if (content_.size() - size < 32) continue;
    EXPECT_TRUE(fails_cleanly(temp.path(), fmt::format("cut to {}", size), load));
  }
  for (std::size_t size = header_ + 1; size-- > 0;) {
    temp.resize(size);
    EXPECT_TRUE(fails_cleanly(temp.path(), fmt::format("cut to {}", size), load));
  }
}

TEST_P(DamagedGguf, AnyFlippedHeaderBitIsAnErrorOrAModel) {
  TempFile temp(content_);
  std::size_t models = 0;
  for (std::size_t bit = 0; bit < header_ * 8; ++bit) {
    temp.flip_bit(bit);
    if (!fails_cleanly(temp.path(), fmt::format("bit {} of byte {}", bit % 8, bit / 8), load)) ++models;
    temp.flip_bit(bit);
  }
  EXPECT_GT(models, 0) << "texts and scores may be others";
}

INSTANTIATE_TEST_SUITE_P(Types, DamagedGguf, ::testing::Values(test::kF32, test::kQ8_0));

// Encoders embed a text with what is left of them.
void load_encoder(const std::string& path) {
  const ModelFile model = read_gguf_model(GgufFile(path));
  Engine engine(model, {{jit::Tier::scalar}, 1, 0});
  const std::vector<TokenId> text(static_cast<std::size_t>(std::min(engine.context(), 3)), 1);
  Batch batch;
  batch.add_hidden(engine.sequence(), text, 0);
  std::size_t rows = 0;
  engine.step(batch, [&](std::size_t, const RowOutput&) { ++rows; });
  EXPECT_EQ(rows, text.size());
}

class DamagedEncoder : public ::testing::TestWithParam<test::FamilyFile> {};

TEST_P(DamagedEncoder, AFlippedHeaderBitIsAnErrorOrAModel) {
  const std::string content =
      family_gguf(GetParam(), test::toy_config(32, 32, 1, 2, 2, 10, 12, true), 7).content();
  const std::size_t header = header_bytes(content);
  TempFile temp(content);
  load_encoder(temp.path());
  for (std::size_t bit = 0; bit < header * 8; bit += 3) {
    temp.flip_bit(bit);
    fails_cleanly(temp.path(), fmt::format("bit {} of byte {}", bit % 8, bit / 8), load_encoder);
    temp.flip_bit(bit);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, DamagedEncoder, ::testing::ValuesIn(test::kEncoderFiles));

// A file that shrinks between mapping and packing.
TEST(TruncatedGguf, MeanwhileIsAnErrorThatNamesTheFile) {
  const std::string content = content_of(test::kF32);
  TempFile temp(content);
  const ModelFile model = read_gguf_model(GgufFile(temp.path()));
  temp.resize(content.size() / 2);
  try {
    const Engine engine(model, {{jit::Tier::scalar}, 1, 0});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr(temp.path()));
  }
}

}  // namespace
}  // namespace llamajit::damaged_gguf_test
