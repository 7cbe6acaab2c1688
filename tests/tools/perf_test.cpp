// perf's own programs read what --perf writes.
#include <string>
#include <vector>

#include "jit/base/isa.h"
#include "tests/support/find_program.h"
#include "tests/support/kernel_check.h"
#include "tests/support/program_fixture.h"

namespace llamajit::test::perf_test {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;

const Config kConfig = toy_config(64, 96, 2, 8, 4, kAlphabetSize, 4096, false);

class PerfTest : public ::testing::Test {
 protected:
  ChildResult perf(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), find_program("perf"));
    ChildOptions options;
    options.directory = directory_.path();
    options.limit = std::chrono::seconds(120);
    return run_child(arguments, options);
  }

  // Samples of many tokens, with the kernels' names put in.
  void record(const std::vector<std::string>& perf_options) {
    LLAMAJIT_REQUIRE_PROGRAM("perf");
    if (jit::host_tiers().size() == 1) GTEST_SKIP() << "this CPU has no AVX2, so nothing is generated";
    const auto record_of = [&](const std::vector<std::string>& program) {
      std::vector<std::string> command = {"record", "-q", "-k", "mono", "-F", "5000", "-o", "perf.data"};
      command.insert(command.end(), perf_options.begin(), perf_options.end());
      command.emplace_back("--");
      command.insert(command.end(), program.begin(), program.end());
      return perf(command);
    };
    const ChildResult allowed = record_of({"/bin/true"});
    if (allowed.exit_code != 0) GTEST_SKIP() << "perf may not record here: " << allowed.err;
    const ChildResult recorded = record_of(
        {LLAMAJIT_PROGRAM, "run", model_, "-p", "a", "-t", "1", "-n", "4000", "--ignore-eos", "--perf"});
    ASSERT_EQ(recorded.exit_code, 0) << recorded.err;
    const ChildResult injected = perf({"inject", "-j", "-i", "perf.data", "-o", "perf.jit.data"});
    ASSERT_EQ(injected.exit_code, 0) << injected.err;
  }

  TempDirectory directory_;
  std::string model_ = directory_.write("model.bin", write_v0(random_weights(kConfig, 7)));
  std::string tokenizer_ = directory_.write("tokenizer.bin", tokenizer_file(alphabet()));
};

// The names of the two kernels that take most of the time are looked for: small ones may get no sample.
TEST_F(PerfTest, SamplesHaveTheKernelsNames) {
  record({});
  if (IsSkipped() || HasFatalFailure()) return;
  const ChildResult report = perf({"report", "-i", "perf.jit.data", "--stdio", "--sort", "symbol"});
  EXPECT_THAT(report.out, AllOf(ContainsRegex("\\[\\.\\] attention_f32_[0-9x]+_gqa2"),
                                ContainsRegex("\\[\\.\\] matvec_f32_96x64_swiglu")))
      << report.err;
}

TEST_F(PerfTest, AnnotateShowsTheListingBetweenTheSamples) {
  record({});
  if (IsSkipped() || HasFatalFailure()) return;
  const ChildResult report = perf({"annotate", "-i", "perf.jit.data", "--stdio", "-s", "attention_f32_8_gqa2",
                                   "--objdump", find_program("objdump")});
  EXPECT_THAT(report.out, AllOf(ContainsRegex("vfmadd231ps.* sums\\[0\\]\\[0\\]\\[0\\].* \\+= values.* \\* "),
                                ContainsRegex("[0-9]+\\.[0-9]+ +: +[0-9a-f]+: +vfmadd231ps")))
      << report.err;
}

// With DWARF unwinding perf gets from a kernel to its callers.
TEST_F(PerfTest, CallChainsPassThroughKernels) {
  if (kSanitized) GTEST_SKIP() << "the sanitizers' frames are larger than the stack that perf copies";
  record({"--call-graph", "dwarf,4096"});
  if (IsSkipped() || HasFatalFailure()) return;
  // Folded, each chain is one line; the drawn tree splits a chain wherever a sample or two left it.
  const ChildResult report = perf({"report", "-i", "perf.jit.data", "--stdio", "--no-children", "-g",
                                   "folded,0,caller", "--sort", "symbol", "--symbol-filter", "attention"});
  // Between a thread's function and the kernel stand frames of ours and no others.
  EXPECT_THAT(report.out, ContainsRegex("llamajit::generate;[^\n]*llamajit::Team::run;[^\n]*_FUN;"
                                        "([^;\n]*llamajit::[^;\n]*;)*"
                                        "attention_f32_8_gqa2\n"))
      << report.err;
}

}  // namespace
}  // namespace llamajit::test::perf_test
