// llamajit report.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "jit/base/isa.h"
#include "jit/code/isa_choice.h"
#include "tests/support/markup.h"
#include "tests/support/program_fixture.h"

namespace llamajit::test::report_test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

namespace fs = std::filesystem;

const Config kConfig = toy_config(64, 96, 2, 8, 4, 33, 40, false);
constexpr std::string_view kHostile = "a<b>&\"'\xFF\x01 <script>x.bin";

class ReportCommand : public ::testing::Test {
 protected:
  static ChildResult report(const std::string& model, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"report", model});
    return run_program(std::move(arguments));
  }
  static std::string page(const std::string& model, std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.end(), {"-o", "-"});
    const ChildResult result = report(model, std::move(arguments));
    expect_success(result);
    EXPECT_EQ(result.err, "");
    expect_self_contained(result.out);
    return result.out;
  }
  static void expect_self_contained(const std::string& page) {
    EXPECT_EQ(markup_error(page), "");
    for (const char* foreign : {"http:", "https:", "//", "<script", "<link", "<img", "url(", "@import"}) {
      // Listings hold no such text either.
      EXPECT_THAT(page, Not(HasSubstr(foreign)));
    }
  }
  nlohmann::json kernels(const std::string& tier) const {
    return nlohmann::json::parse(run_program({"kernels", model_, "--isa", tier, "--json"}).out);
  }
  void expect_every_kernel(const std::string& page, const std::string& tier) const {
    const nlohmann::json report = kernels(tier);
    for (const auto& kernel : report["kernels"]) {
      const std::string name = kernel["name"];
      EXPECT_THAT(page, HasSubstr("</span><code>" + name + "</code>")) << "a section of its own";
      if (tier == "scalar") continue;  // no generated code
      EXPECT_THAT(page, HasSubstr(".globl " + name + "\n")) << "its listing";
    }
  }
  static std::vector<std::string> files_in(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }

  TempDirectory directory_;
  std::string model_ = directory_.write("m.bin", write_v2(random_weights(kConfig, 7), 32));
};

// The percentages in the cells of the table's column "share", and the sum below them.
std::vector<double> shares_of_token(const std::string& page) {
  const std::size_t begin = page.find("<h3>One token");
  const std::string table = page.substr(begin, page.find("</table>", begin) - begin);
  std::vector<double> shares;
  for (std::size_t at = 0; (at = table.find("<td class=\"heat\"", at)) != std::string::npos;) {
    at = table.find('>', at) + 1;
    shares.push_back(std::stod(table.substr(at, table.find('%', at) - at)));
  }
  return shares;
}

TEST_F(ReportCommand, ShowsEveryKernelOfEveryTier) {
  const std::vector<jit::Tier> host = jit::host_tiers();
  for (const jit::Tier tier : jit::kAllTiers) {
    const std::string name(to_string(tier));
    SCOPED_TRACE(name);
    const bool runs = std::ranges::count(host, tier) > 0;
    // Those that generate and run here have tests of their own, as measuring takes seconds.
    const bool measured = tier == jit::Tier::scalar;
    std::vector<std::string> arguments = {"--isa", name};
    if (runs && !measured) arguments.emplace_back("--no-timing");
    const std::string text = page(model_, arguments);
    expect_every_kernel(text, name);
    EXPECT_EQ(text.find("Not measured: this CPU lacks the tier") == std::string::npos, runs);
    EXPECT_EQ(text.find(" tokens/s on one thread") != std::string::npos, measured);
    EXPECT_THAT(text, Not(HasSubstr("class=\"roof\"")));
  }
}

TEST_F(ReportCommand, SharesAddUp) {
  const std::vector<double> shares = shares_of_token(page(model_));
  ASSERT_GT(shares.size(), 8U);
  double sum = 0;
  for (const double share : shares) sum += share;
  EXPECT_NEAR(sum, 100, 0.05 * static_cast<double>(shares.size()) + 1e-9) << "as far as rounding goes";
}

TEST_F(ReportCommand, DrawsRoofsAndPoints) {
  if (jit::host_tiers().back() == jit::Tier::scalar) GTEST_SKIP() << "this CPU runs no generated code";
  for (const std::string& content :
       {write_v0(random_weights(kConfig, 7)), write_v2(random_weights(kConfig, 7), 32)}) {
    const std::string text = page(directory_.write("other.bin", content));
    EXPECT_THAT(text, HasSubstr("<svg class=\"plot\""));
    EXPECT_THAT(text, HasSubstr("class=\"roof\""));
    EXPECT_THAT(text, HasSubstr(">weights "));
    EXPECT_THAT(text, HasSubstr(">f32 "));
    EXPECT_THAT(text, HasSubstr(">L1 cache "));
    for (const char* kind : {"<g class=\"memory\">", "<g class=\"cache\">", "<g class=\"prompt\">"}) {
      EXPECT_THAT(text, HasSubstr(kind));
    }
    EXPECT_THAT(text, Not(HasSubstr("nan"))) << "neither numbers nor places";
    EXPECT_THAT(text, Not(HasSubstr(">inf")));
  }
}

TEST_F(ReportCommand, ShadesLinesBySamples) {
  if (jit::host_tiers().back() == jit::Tier::scalar) GTEST_SKIP() << "this CPU runs no generated code";
  const std::string text = page(model_, {"--only", "matvec*"});
  EXPECT_THAT(text, HasSubstr("Lines are shaded by samples"));
  EXPECT_THAT(text, ContainsRegex("<span class=\"l\" style=\"--h:[01]\\.[0-9]{3}\"[^>]*><b> *[0-9.]+%</b>"));
  const std::size_t link = text.find("\">To the hottest line");
  ASSERT_NE(link, std::string::npos);
  const std::size_t quote = text.rfind("\"#", link);
  const std::string anchor = text.substr(quote + 2, link - quote - 2);
  EXPECT_THAT(text, HasSubstr("id=\"" + anchor + "\"")) << "leads somewhere";
}

TEST_F(ReportCommand, WithoutTimingItIsTheSameEachTime) {
  const std::string text = page(model_, {"--no-timing"});
  EXPECT_THAT(text, HasSubstr("Not measured: --no-timing was given"));
  EXPECT_THAT(text, Not(HasSubstr("class=\"share\"")));
  EXPECT_THAT(text, Not(HasSubstr("<svg")));
  expect_every_kernel(text, std::string(to_string(jit::choose_isa(std::nullopt).isa.tier)));
  EXPECT_EQ(page(model_, {"--no-timing"}), text);
}

TEST_F(ReportCommand, OnlyTheKernelsAskedFor) {
  const std::string text = page(model_, {"--no-timing", "--only", "rmsnorm*"});
  EXPECT_THAT(text, HasSubstr(".globl rmsnorm_64\n"));
  EXPECT_THAT(text, Not(HasSubstr(".globl matvec")));
  EXPECT_THAT(text, HasSubstr("matvec_int8_32_96x64_swiglu")) << "the path is shown as a whole";
  expect_error(report(model_, {"-o", "-", "--only", "nothing"}), 1, {"--only", "'nothing'"});
}

TEST_F(ReportCommand, NamesFromFilesAreText) {
  const std::string model = directory_.write(std::string(kHostile), write_v2(random_weights(kConfig, 7), 32));
  const std::string text = page(model, {"--no-timing"});
  EXPECT_THAT(markup_text(text), HasSubstr("a<b>&\"'\xEF\xBF\xBD\xEF\xBF\xBD <script>x.bin"));
}

TEST_F(ReportCommand, ReplacesTheFileAsAWhole) {
  const std::string path = directory_.write("report.html", "old");
  const ChildResult result = report(model_, {"-o", path, "--no-timing"});
  expect_success(result);
  EXPECT_EQ(result.out, "");
  std::ostringstream content;
  content << std::ifstream(path).rdbuf();
  EXPECT_EQ(content.str(), page(model_, {"--no-timing"}));
  EXPECT_EQ(files_in(directory_.path()), (std::vector<std::string>{"m.bin", "report.html"}));
}

TEST_F(ReportCommand, AFailureLeavesTheOldFile) {
  const std::string path = directory_.write("report.html", "old");
  const std::string broken = directory_.write("broken.bin", "none");
  expect_error(report(broken, {"-o", path}), 1, {broken});
  std::string content;
  std::getline(std::ifstream(path), content);
  EXPECT_EQ(content, "old");
  EXPECT_EQ(files_in(directory_.path()), (std::vector<std::string>{"broken.bin", "m.bin", "report.html"}));
}

TEST_F(ReportCommand, PlacesThatCannotBeWritten) {
  const std::string missing = directory_.path() + "/none/report.html";
  expect_error(report(model_, {"-o", missing}), 1, {missing, "No such file or directory"});
  expect_error(report(model_, {"-o", directory_.path()}), 1, {directory_.path(), "expected a regular file"});
  // Replacing a device by a file would be a disaster.
  expect_error(report(model_, {"-o", "/dev/full"}), 1, {"/dev/full", "expected a regular file"});
  EXPECT_FALSE(fs::is_regular_file("/dev/full"));
  ChildOptions options;
  options.output_path = "/dev/full";
  expect_error(run_program({"report", model_, "-o", "-", "--no-timing"}, options), 1,
               {"standard output: No space left on device"});
}

}  // namespace
}  // namespace llamajit::test::report_test
