// The model that drafts of repeated text are measured with (docs/drafts.md) repeats text, and is itself otherwise.
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/files/model_reader.h"
#include "runtime/forward/engine.h"
#include "tests/support/temp_file.h"
#include "tests/support/widened_model.h"

namespace llamajit::copying_model_test {
namespace {

using ::testing::ElementsAreArray;
using Text = std::vector<TokenId>;

constexpr TokenId kFirst = 1, kRenamed = 2000, kInstead = 2001;
const std::string kStory = LLAMAJIT_SOURCE_DIR "/tools/story/models/story.gguf";

class CopyingModel : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    file_ = new test::TempFile("");
    write_widened(kStory, file_->path(), {512, 4, true, CopyingHeads::Renaming{kRenamed, kInstead}});
  }
  static void TearDownTestSuite() { delete file_; }

  static Text likeliest_behind(const std::string& path, const Text& prompt, std::size_t n) {
    Engine engine(read_model(path), {.isa = {jit::host_tiers().back()}});
    engine.feed_all(prompt, 0);
    Text text;
    while (text.size() < n) {
      text.push_back(engine.argmax());
      engine.feed(text.back(), engine.sequence().length(), true);
    }
    return text;
  }
  // Which no story has.
  static Text passage(std::size_t n) {
    std::mt19937 random(1);
    Text text;
    while (text.size() < n) text.push_back(300 + static_cast<TokenId>(random() % 1600));
    return text;
  }

  static inline test::TempFile* file_ = nullptr;
};

TEST_F(CopyingModel, GoesOnAsBeforeWhereAPassageBeginsAgain) {
  Text said = passage(60);
  said[40] = kRenamed;
  Text prompt = {kFirst};
  prompt.insert(prompt.end(), said.begin(), said.end());
  prompt.insert(prompt.end(), said.begin() + 10, said.begin() + 16);
  Text expected(said.begin() + 16, said.end());
  expected[40 - 16] = kInstead;
  EXPECT_THAT(likeliest_behind(file_->path(), prompt, expected.size()), ElementsAreArray(expected));
}

TEST_F(CopyingModel, IsTheModelItselfWhereNothingIsSaidAgain) {
  const Text prompt = {kFirst, 500};
  EXPECT_THAT(likeliest_behind(file_->path(), prompt, 40),
              ElementsAreArray(likeliest_behind(kStory, prompt, 40)));
}

}  // namespace
}  // namespace llamajit::copying_model_test
