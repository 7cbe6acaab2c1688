// llamajit embed: vectors as lines of JSON.
#include <cmath>
#include <sstream>

#include <nlohmann/json.hpp>

#include "tests/support/program_fixture.h"

namespace llamajit::test::embed_test {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using Json = nlohmann::json;

class EmbedTool : public AlphabetTest {
 protected:
  static std::vector<std::vector<double>> vectors(std::vector<std::string> arguments,
                                                  const std::string& input = "") {
    arguments.insert(arguments.begin(), "embed");
    ChildOptions options;
    options.input = input;
    const ChildResult result = run_program(std::move(arguments), options);
    expect_success(result);
    std::vector<std::vector<double>> vectors;
    std::istringstream lines(result.out);
    for (std::string line; std::getline(lines, line);) {
      vectors.push_back(Json::parse(line).get<std::vector<double>>());
    }
    return vectors;
  }
};

TEST_F(EmbedTool, ALineForEachText) {
  const auto two = vectors({"story", "-p", "A cat sat.", "-p", "A dog ran."});
  ASSERT_THAT(two, SizeIs(2));
  EXPECT_NE(two[0], two[1]);
  for (const auto& vector : two) {
    double squares = 0;
    for (const double x : vector) squares += x * x;
    EXPECT_NEAR(squares, 1, 1e-5);
  }
  EXPECT_EQ(vectors({"story", "-t", "2"}, "A cat sat.\nA dog ran.\n"), two);
  EXPECT_EQ(vectors({"story", "-f", directory_.write("lines.txt", "A cat sat.\nA dog ran.")}), two);
}

TEST_F(EmbedTool, PoolingAndLengthAsAsked) {
  const auto mean = vectors({"story", "-p", "A cat sat."});
  EXPECT_EQ(vectors({"story", "-p", "A cat sat.", "--pooling", "mean"}), mean);
  EXPECT_NE(vectors({"story", "-p", "A cat sat.", "--pooling", "last"}), mean);
  const auto longer = vectors({"story", "-p", "A cat sat.", "--any-length"});
  double squares = 0;
  for (const double x : longer.front()) squares += x * x;
  EXPECT_GT(std::abs(squares - 1), 0.1);
  EXPECT_NEAR(longer.front()[0] / std::sqrt(squares), mean.front()[0], 1e-6);
}

TEST_F(EmbedTool, SaysWhatIsTooLong) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "a cat ";
  expect_error(run_program({"embed", "story", "-q", "-p", text}), 1,
               {"text 1: expected 1 to", "(the context), found"});
  expect_error(run_program({"embed", "story", "-p", "a", "--pooling", "sum"}), 2, {"--pooling"});
}

}  // namespace
}  // namespace llamajit::test::embed_test
