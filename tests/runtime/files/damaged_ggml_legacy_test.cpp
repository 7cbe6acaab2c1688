// Damaged legacy ggml files all the way into the engine and the
// tokenizer: an error or a model, soon, and never a signal.
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/files/ggml_legacy_model.h"
#include "runtime/forward/engine.h"
#include "tests/support/damage.h"
#include "tests/support/legacy_writer.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"
#include "tokenizer/greedy.h"

namespace llamajit::damaged_ggml_legacy_test {
namespace {

using test::fails_cleanly;
using test::TempFile;

// The feed-forward's size is 2 * (4 * 32) / 3 rounded up to a multiple of 32.
const Config kConfig = test::toy_config(32, 96, 1, 2, 2, 10, 12, false);

std::string content_of(int ftype) {
  const std::vector<std::string> pieces{" \u2047 ", "", "", " ", "a", "b", "ab", " ab", "c", "d"};
  return test::legacy_files(test::random_weights(kConfig, 7), pieces, {.ftype = ftype}).front();
}

// With its tokenizer, and feeds a token.
void load(const std::string& path) {
  GgmlLegacyFile file(path);
  const GreedyTokenizer tokenizer(read_ggml_legacy_vocab(file));
  for (const TokenId id : tokenizer.encode("ab</s> ab\xFF")) tokenizer.decode(1, id);
  const ModelFile model = read_ggml_legacy_model(std::move(file));
  Engine engine(model, {{jit::Tier::scalar}, 1, 12});
  engine.feed(1, 0, true);
  EXPECT_EQ(engine.logits().size(), static_cast<std::size_t>(model.config.vocab_size));
}

class DamagedGgmlLegacy : public ::testing::TestWithParam<int> {
 protected:
  // The bytes that are no weights: header and vocabulary, and the tensors' descriptions.
  std::vector<std::pair<std::size_t, std::size_t>> described() const {
    const TempFile temp(content_);
    const GgmlLegacyFile file(temp.path());
    std::vector<std::pair<std::size_t, std::size_t>> ranges;
    std::size_t begin = 0;
    for (const GgmlLegacyTensor& tensor : file.tensors()) {
      ranges.emplace_back(begin, tensor.offset);
      begin = tensor.offset + tensor.data.size();
    }
    return ranges;
  }

  const std::string content_ = content_of(GetParam());
};

TEST_P(DamagedGgmlLegacy, TruncatedAnywhereIsAnError) {
  TempFile temp(content_);
  load(temp.path());
  for (std::size_t i = 0; i < 1000; ++i) {
    const std::size_t size = content_.size() - 1 - content_.size() * i / 1000;
    temp.resize(size);
    EXPECT_TRUE(fails_cleanly(temp.path(), fmt::format("cut to {}", size), load));
  }
  for (const auto& [begin, end] : described()) {
    for (std::size_t size = end + 1; size-- > begin;) {
      temp.write(content_.substr(0, size));
      EXPECT_TRUE(fails_cleanly(temp.path(), fmt::format("cut to {}", size), load));
    }
  }
}

TEST_P(DamagedGgmlLegacy, AnyFlippedBitThatIsNoWeightIsAnErrorOrAModel) {
  TempFile temp(content_);
  std::size_t models = 0;
  for (const auto& [begin, end] : described()) {
    for (std::size_t bit = begin * 8; bit < end * 8; ++bit) {
      temp.flip_bit(bit);
      if (!fails_cleanly(temp.path(), fmt::format("bit {} of byte {}", bit % 8, bit / 8), load)) ++models;
      temp.flip_bit(bit);
    }
  }
  EXPECT_GT(models, 0) << "texts may be others";
}

INSTANTIATE_TEST_SUITE_P(Ftypes, DamagedGgmlLegacy, ::testing::Values(0, 3));

// A file that shrinks between mapping and packing.
TEST(TruncatedGgmlLegacy, MeanwhileIsAnErrorThatNamesTheFile) {
  const std::string content = content_of(0);
  TempFile temp(content);
  const ModelFile model = read_ggml_legacy_model(GgmlLegacyFile(temp.path()));
  temp.resize(content.size() / 2);
  EXPECT_TRUE(fails_cleanly(temp.path(), "cut in use", [&](const std::string&) {
    const Engine engine(model, {{jit::Tier::scalar}, 1, 12});
  }));
}

}  // namespace
}  // namespace llamajit::damaged_ggml_legacy_test
