// llamajit lesson.
#include <fstream>
#include <iterator>
#include <sstream>

#include <fmt/format.h>

#include "jit/base/isa.h"
#include "tests/support/program_fixture.h"

namespace llamajit::test::lesson_test {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

ChildResult lesson(std::vector<std::string> arguments, const ChildOptions& options = {}) {
  arguments.insert(arguments.begin(), "lesson");
  return run_program(std::move(arguments), options);
}

// The lesson's output, in English whatever the environment says.
std::string given(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--lang", "en"});
  const ChildResult result = lesson(std::move(arguments));
  expect_success(result);
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, Not(HasSubstr("other bits")));
  return result.out;
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

// The result and, behind it, the twin's.
std::string results(const std::string& lines) {
  return "--- The result\n" + lines + "its scalar twin:\n" + lines + "the same bits\n";
}

TEST(Lesson, TheExamples) {
  EXPECT_THAT(given({"add"}), HasSubstr(results("  a + b = 12\n")));
  EXPECT_THAT(given({"dot"}), HasSubstr(results("  a · b = 23\n")));
  EXPECT_THAT(given({"feed-forward"}), HasSubstr(results("  (x + h) + h * w = 10 10.5\n")));
  // Four queries over four positions.
  EXPECT_THAT(given({"attention"}),
              ContainsRegex("--- The result\n(  weights = [0-9.e -]+\n){4}  out = 4.8[0-9]+ 4.9[0-9. ]+\n"));
  EXPECT_THAT(given({"one-bit"}),
              AllOf(HasSubstr("sign bits of w: 0 1 1 0 0 1 0 1\n"), HasSubstr("scale = mean |w|: 0.9\n")));
}

TEST(Lesson, ExpertsAndStateOfTheExamples) {
  const std::string out = given({"experts", "1", "3", "3", "0", "--", "10", "20", "30", "40"});
  EXPECT_THAT(out, HasSubstr(results("  weights = 0 0.5 0.5 0\n  out = 25\n")));
  EXPECT_THAT(given({"experts", "5", "--", "7"}), HasSubstr(results("  weights = 1\n  out = 7\n")));
  EXPECT_THAT(given({"experts"}),
              ContainsRegex("\n  weights = 0 0.73105[0-9]* 0.26894[0-9]* 0\n  out = 22.689"));
  EXPECT_THAT(given({"state"}), HasSubstr(results("  state = 2 3 4.25 4.25\n  out = 2 3 4.25 4.25\n")));
}

// Numbers behind `name = ` in the lesson's result.
std::vector<double> values(const std::string& out, const std::string& name) {
  const std::size_t at = out.find(fmt::format("  {} = ", name), out.find("--- The result"));
  EXPECT_NE(at, std::string::npos) << out;
  if (at == std::string::npos) return {};
  std::istringstream line(out.substr(at + name.size() + 5, out.find('\n', at) - at - name.size() - 5));
  return {std::istream_iterator<double>(line), {}};
}

TEST(Lesson, SoftmaxOfTheExample) {
  const std::string out = given({"attention", "1", "--", "2", "3", "4", "5", "--", "2", "3", "4", "5"});
  const std::vector<double> softmax = {0.0320586, 0.0871443, 0.2368828, 0.6439143};
  const std::vector<double> weights = values(out, "weights");
  ASSERT_EQ(weights.size(), softmax.size());
  // Half a unit of the seventh digit, and some of a float's last place.
  for (std::size_t i = 0; i < softmax.size(); ++i) EXPECT_NEAR(weights[i], softmax[i], 2e-7);
  EXPECT_NEAR(values(out, "out").at(0), 4.4926527, 1e-6);
}

TEST(Lesson, OneBitShowsWhatIsLost) {
  // Weights that are signs already lose nothing.
  EXPECT_THAT(given({"one-bit", "1", "-1", "1", "1", "--", "2", "3", "4", "5"}),
              AllOf(HasSubstr("sign bits of w: 0 1 0 0\n"), HasSubstr("w · x, not rounded: 8\n"),
                    HasSubstr(results("  one-bit w · x = 8\n"))));
  EXPECT_THAT(given({"one-bit", "3", "-1", "--", "1", "1"}),
              AllOf(HasSubstr("w · x, not rounded: 2\n"), HasSubstr("scale = mean |w|: 2\n"),
                    HasSubstr(results("  one-bit w · x = 0\n"))));
}

TEST(Lesson, NumbersOfTheReader) {
  EXPECT_THAT(given({"add", "1", "-2", "--", "-.5", "+3e1"}), HasSubstr(results("  a + b = 0.5 28\n")));
  EXPECT_THAT(given({"add", "5", "7"}), HasSubstr(results("  a + b = 12\n")));
  EXPECT_THAT(given({"add", "-5", "--", "-7"}), HasSubstr(results("  a + b = -12\n")));
  EXPECT_THAT(given({"dot", "1", "2", "3", "--", "1", "10", "100", "--isa", "avx2"}),
              AllOf(HasSubstr(results("  a · b = 321\n")), HasSubstr("# n 3\n"), HasSubstr("# tier avx2;")));
  // The order of a sum shows.
  EXPECT_THAT(given({"dot", "1e8", "1", "-1e8", "--", "1", "1", "1"}), HasSubstr(results("  a · b = 1\n")));
  EXPECT_THAT(given({"dot", "1e8", "-1e8", "1", "--", "1", "1", "1"}), HasSubstr(results("  a · b = 0\n")));
}

TEST(Lesson, ShowsListingAndEveryTier) {
  const std::string out = given({"dot", "--random", "100"});
  // Tiers of 256 bits have sixteen lanes in two registers.
  EXPECT_THAT(out, AllOf(HasSubstr("# dot_100: out = sum of a * b\n"),
                         AnyOf(HasSubstr("  sums[1] += value * other\n"),
                               HasSubstr("  sums[1].lo += value.lo * other.lo\n")),
                         HasSubstr("(100 values)"), HasSubstr("ticks: of the time stamp counter (TSC)")));
  for (const jit::Tier tier : jit::host_tiers()) {
    EXPECT_THAT(out, ContainsRegex(fmt::format("\n{} +[0-9-]+ .* [0-9]+  the same bits\n", to_string(tier))));
  }
}

TEST(Lesson, EveryTierIsListed) {
  for (const jit::Tier tier : jit::kAllTiers) {
    const std::string name(to_string(tier));
    const std::string out = given({"add", "--isa", name});
    const std::string shown =
        tier == jit::Tier::scalar ? "scalar tier generates nothing" : fmt::format("# tier {};", name);
    EXPECT_THAT(out, HasSubstr(shown)) << name;
    EXPECT_THAT(out, HasSubstr("  a + b = 12\n")) << name;
  }
}

TEST(Lesson, AreListed) {
  EXPECT_THAT(given({}), AllOf(ContainsRegex("\nadd +Add: "), ContainsRegex("\ndot +Dot product: ")));
}

class LessonText : public ::testing::TestWithParam<std::string> {};

// The command has no text of its own: it prints what docs/ says.
TEST_P(LessonText, IsThatOfTheDocumentation) {
  const std::string base = std::string(LLAMAJIT_SOURCE_DIR) + "/docs/lessons/" + GetParam();
  const std::string english = contents(base + ".md"), korean = contents(base + ".ko.md");
  EXPECT_EQ(lesson({GetParam(), "--text", "--lang", "en"}).out, english);
  EXPECT_EQ(lesson({GetParam(), "--text", "--lang", "ko"}).out, korean);
  const auto sections = [](const std::string& text) {
    int count = 0;
    for (std::size_t at = text.find("\n## "); at != std::string::npos; at = text.find("\n## ", at + 1))
      ++count;
    return count;
  };
  EXPECT_EQ(sections(english), 4);
  EXPECT_EQ(sections(korean), 4);
}

INSTANTIATE_TEST_SUITE_P(Lessons, LessonText,
                         ::testing::Values("add", "dot", "attention", "feed-forward", "one-bit", "experts",
                                           "state", "model"),
                         [](const auto& lesson) {
                           std::string name = lesson.param;
                           std::erase(name, '-');
                           return name;
                         });

class ModelLesson : public AlphabetTest {};

TEST_F(ModelLesson, FollowsATokenToTheNext) {
  const std::string out = given({"model", model_, "-p", "abc"});
  EXPECT_THAT(
      out, AllOf(HasSubstr("Every step of the token 'c' at position 4, on the tier "),
                 ContainsRegex("at the beginning\n  embed_f32_"),
                 ContainsRegex("layers: [0-9]+, ticks of all together\n"),
                 ContainsRegex("\n  attention_f32_[^\n]+ [0-9]+\\.[0-9]%  for each head: out = sum over p"),
                 ContainsRegex("those that came close\n +[0-9]+ +[0-9.]+%  'd'\n")));
  for (const jit::Tier tier : jit::host_tiers()) {
    EXPECT_THAT(out,
                ContainsRegex(fmt::format("\n{} +[0-9]+ +[0-9]+ +[0-9]+  the same bits\n", to_string(tier))));
  }
}

TEST_F(ModelLesson, SaysWhatIsWrong) {
  expect_error(lesson({"model", "a", "b"}), 2, {"lesson model", "expected the path of one model", "found 2"});
  expect_error(lesson({"model", model_, "x"}), 2, {"lesson model", "found 2"});
  expect_error(lesson({"model", directory_.path() + "/none.bin"}), 1, {"none.bin"});
  expect_error(lesson({"model", model_, "-p", alphabet_text(200)}), 2,
               {"--prompt", "1 to 100 tokens", "found 202"});
}

// Idea and section stand in the output as they stand in the text.
TEST(Lesson, SpeaksKorean) {
  const std::string text = contents(std::string(LLAMAJIT_SOURCE_DIR) + "/docs/lessons/dot.ko.md");
  const std::string idea = text.substr(2, text.find("\n## ") - 2);
  const std::size_t begin = text.find("\n\n", text.find("\n## 티어마다"));
  const std::string tiers = text.substr(begin, text.find("\n## ", begin) - begin);
  ChildOptions korean;
  korean.environment = {{"LC_ALL", ""}, {"LC_MESSAGES", ""}, {"LANG", "ko_KR.UTF-8"}};
  for (const ChildResult& result : {lesson({"dot"}, korean), lesson({"dot", "--lang", "ko"})}) {
    expect_success(result);
    EXPECT_THAT(result.out, AllOf(::testing::StartsWith(idea), HasSubstr(tiers), HasSubstr("비트까지 같음")));
  }
  EXPECT_THAT(lesson({}, korean).out, ContainsRegex("\ndot +내적: "));
  korean.environment.front() = {"LC_ALL", "C"};
  EXPECT_THAT(lesson({}, korean).out, ContainsRegex("\ndot +Dot product: "));
}

TEST(Lesson, SaysWhatIsWrong) {
  expect_error(lesson({"add", "1", "--", "2", "-p", "x"}), 2,
               {"--prompt", "the lesson model", "found with add"});
  expect_error(lesson({"dot", "1", "--", "2", "-z", "x"}), 2, {"--tokenizer", "found with dot"});
  expect_error(lesson({"model", "--random", "3"}), 2,
               {"--random", "the lessons on kernels", "found with model"});
  expect_error(lesson({"sub"}), 2, {"lesson", "expected one of add, dot", "found 'sub'"});
  expect_error(lesson({"add", "5", "--", "x7"}), 2, {"lesson add", "finite number", "found 'x7'"});
  expect_error(lesson({"add", "5", "--", "nan"}), 2, {"finite number", "found 'nan'"});
  expect_error(lesson({"add", "5", "--", "1e99"}), 2, {"finite number", "found '1e99'"});
  expect_error(lesson({"add", "5", "7", "9"}), 2,
               {"lesson add", "2 lists of numbers", "(a -- b)", "found 1"});
  expect_error(lesson({"add", "5", "--", "7", "--", "9"}), 2, {"2 lists", "found 3"});
  expect_error(lesson({"add", "5", "--"}), 2, {"1 to 1024 numbers in the list b", "found 0"});
  expect_error(lesson({"dot", "2", "3", "--", "4"}), 2, {"list b", "list a, 2", "found 1"});
  std::vector<std::string> many(1025, "1");
  many.insert(many.begin(), "add");
  many.insert(many.end(), {"--", "1"});
  expect_error(lesson(many), 2, {"1 to 1024 numbers in the list a", "found 1025"});
  expect_error(lesson({"add", "--random", "0"}), 2, {"--random", "1 to 1024", "found '0'"});
  expect_error(lesson({"add", "1", "--", "2", "--random", "4"}), 2, {"--random", "no numbers"});
  expect_error(lesson({"add", "--lang", "fr"}), 2, {"--lang", "one of en, ko", "found 'fr'"});
  expect_error(lesson({"add", "--isa", "sse9"}), 2, {"--isa", "sse9"});
  expect_error(lesson({"attention", "1", "--", "2", "3", "--", "2"}), 2, {"list v", "list k, 2", "found 1"});
}

}  // namespace
}  // namespace llamajit::test::lesson_test
