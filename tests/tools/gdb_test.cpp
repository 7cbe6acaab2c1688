// A real gdb looks at a real run of the program, with no script of ours in it.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <sys/resource.h>

#include "jit/base/isa.h"
#include "tests/support/find_program.h"
#include "tests/support/kernel_check.h"
#include "tests/support/program_fixture.h"

namespace llamajit::test::gdb_test {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

namespace fs = std::filesystem;

constexpr std::chrono::seconds kGdbLimit{120};

// Two kernels of the alphabet's model: it has one norm for all, and a square matrix for queries.
const int kDim = chain_model(alphabet_chain(), 16).config.dim;
const std::string kKernel = fmt::format("rmsnorm_{}", kDim);
const std::string kMatmul = fmt::format("matmul_f32_{0}x{0}", kDim);

// A model that talks until it is stopped.
std::string endless_model() {
  return write_v1(chain_model(endless_chain(), 1 << 20));
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class GdbTest : public AlphabetTest {
 protected:
  void SetUp() override {
    if (kSanitized) {
      GTEST_SKIP() << "under the sanitizers gdb sees their frames and variables, and cores are not dumped";
    }
    LLAMAJIT_REQUIRE_PROGRAM("gdb");
    if (jit::host_tiers().size() == 1) GTEST_SKIP() << "this CPU has no AVX2, so nothing is generated";
    const ChildResult result = gdb({"run"}, {"/bin/true"});
    if (result.out.find("exited normally") == std::string::npos) {
      GTEST_SKIP() << "gdb may not run programs here: " << result.err;
    }
  }

  // gdb's commands one after another, with a program and its arguments.
  ChildResult gdb(const std::vector<std::string>& commands, const std::vector<std::string>& program,
                  ChildOptions options = {}) const {
    std::vector<std::string> all = {find_program("gdb"), "-nx", "-q", "-batch"};
    for (const char* setting : {"set breakpoint pending on", "set pagination off", "set confirm off",
                                "set width 0", "set debuginfod enabled off", "set startup-with-shell off"}) {
      all.insert(all.end(), {"-ex", setting});
    }
    for (const std::string& command : commands) all.insert(all.end(), {"-ex", command});
    all.emplace_back("--args");
    all.insert(all.end(), program.begin(), program.end());
    options.limit = kGdbLimit;
    return run_child(all, options);
  }
  // The same with `llamajit run` on the alphabet's model.
  ChildResult gdb_run(const std::vector<std::string>& commands, const std::vector<std::string>& flags,
                      const ChildOptions& options = {}) const {
    return gdb(commands, run_command(LLAMAJIT_PROGRAM, flags), options);
  }
  std::vector<std::string> run_command(const std::string& program,
                                       const std::vector<std::string>& flags) const {
    std::vector<std::string> command = {program, "run", model_, "-p", "a", "-t", "1", "-n", "20"};
    command.insert(command.end(), flags.begin(), flags.end());
    return command;
  }
  static std::string stops_at(const std::string& kernel) {
    return fmt::format("Breakpoint 1, {0} \\(\\) at [^ ]*/{0}\\.s:[0-9]+", kernel);
  }
};

TEST_F(GdbTest, StopsInAKernelThatIsYetToBeGenerated) {
  const ChildResult result = gdb_run({"break " + kKernel, "run", "bt"}, {"--gdb"});
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("Breakpoint 1 (" + kKernel + ") pending."), ContainsRegex(stops_at(kKernel)),
                    // The listing's line, and all callers.
                    ContainsRegex("\n[0-9]+[ \t]+endbr64 +# 0000\n"),
                    ContainsRegex("\n#0  " + kKernel + " \\(\\) at "),
                    ContainsRegex("\n#[0-9]+ .* in llamajit::generate"),
                    ContainsRegex("\n#[0-9]+ .* in main \\(\\)")))
      << result.err;
}

TEST_F(GdbTest, StepsThroughTheListing) {
  const ChildResult result = gdb_run(
      {"break " + kKernel, "run", "next", "next", "next", "list", "info line *$pc", "finish"}, {"--gdb"});
  // Three lines on, then ten around them, then the caller.
  EXPECT_THAT(result.out,
              AllOf(ContainsRegex("\n[0-9]+[ \t]+push rbp +# 0004\n"
                                  "[0-9]+[ \t]+mov rbp, rsp +# 0005\n"
                                  "[0-9]+[ \t]+mov rcx, qword ptr \\[rdi\\] +# 0008  x = args\\.x\n"),
                    ContainsRegex("\n[0-9]+[ \t]+" + kKernel + ":\n"),
                    ContainsRegex("Line [0-9]+ of \"[^\"]*/" + kKernel + "\\.s\" starts at address"),
                    ContainsRegex("\n0x[0-9a-f]+ in (void )?llamajit::")))
      << result.err;
}

TEST_F(GdbTest, NamesCodeAndConstants) {
  const ChildResult result =
      gdb_run({"break " + kKernel, "run", "info symbol $pc", "x/2i $pc", "disassemble",
               "info symbol &" + kKernel + "_constants", "x/1fw &" + kKernel + "_constants"},
              {"--gdb"});
  EXPECT_THAT(result.out, AllOf(ContainsRegex("\n" + kKernel + " in section \\.text"),
                                ContainsRegex("=> 0x[0-9a-f]+ <" + kKernel + ">:\tendbr64"),
                                HasSubstr("Dump of assembler code for function " + kKernel + ":"),
                                ContainsRegex("\\+4>:\tpush +%rbp"),
                                ContainsRegex("# 0x[0-9a-f]+ <" + kKernel + "_constants"),
                                ContainsRegex("\n" + kKernel + "_constants in section \\.text"),
                                ContainsRegex("<" + kKernel + "_constants>:\t9\\.99999975e-06")))
      << result.err;
}

// General registers are variables by the names of their roles.
TEST_F(GdbTest, ShowsRegistersByTheirRoles) {
  const ChildResult result = gdb_run({"break " + kKernel, "run", "next 7", "info locals", "print x == $rcx",
                                      "print *x@2", "print *(float*)$rcx == *x"},
                                     {"--gdb"});
  EXPECT_THAT(result.out, AllOf(ContainsRegex("\nx = 0x[0-9a-f]+\n"),
                                ContainsRegex("\nweight = 0x[0-9a-f]+\n"), HasSubstr("\n$1 = 1\n"),
                                ContainsRegex("\n\\$2 = \\{[^,]+, [^,]+\\}\n"), HasSubstr("\n$3 = 1\n")))
      << result.err;
}

// From each instruction that builds the frame or takes it down, all callers are found; in the product of
// matrices, which saves every register and has scratch on the stack.
TEST_F(GdbTest, FindsTheCallersFromEveryInstruction) {
  const std::string script = directory_.write("walk.gdb", R"(python
def callers():
  frame = gdb.newest_frame()
  while frame is not None:
    yield frame.name()
    frame = frame.older()

def walk(steps):
  for step in range(steps):
    names = list(callers())
    if not names[0].startswith('matmul'): break
    if 'main' not in names or len(names) < 5: print('LOST', hex(gdb.newest_frame().pc()), names)
    gdb.execute('stepi', to_string=True)
  print('WALKED', step, 'to', gdb.newest_frame().name())
  return names[0].startswith('matmul')

block = gdb.newest_frame().block()
code = gdb.newest_frame().architecture().disassemble(block.start, block.end - 1)
walk(40)
# A chunk of several blocks of tokens comes by there once for each; the last time it leaves.
gdb.execute('break *%d' % code[-25]['addr'])
gdb.execute('continue')
while walk(40): gdb.execute('continue')
end
)");
  // More tokens than matvec takes at once.
  const ChildResult result =
      gdb({"break " + kMatmul, "run", "source " + script},
          {LLAMAJIT_PROGRAM, "run", model_, "-p", "abcdefghijklmnopqrst", "-t", "1", "-n", "5", "--gdb"});
  if (result.err.find("Python scripting is not supported") != std::string::npos) {
    GTEST_SKIP() << "this gdb has no Python";
  }
  EXPECT_THAT(result.out, AllOf(ContainsRegex("WALKED 39 to matmul"),
                                ContainsRegex("WALKED 2[0-9] to (void )?llamajit::"), Not(HasSubstr("LOST"))))
      << result.err;
}

TEST_F(GdbTest, ADebuggerIsNoticedWithoutAFlag) {
  const ChildResult result = gdb_run({"break " + kKernel, "run"}, {});
  EXPECT_THAT(result.out, ContainsRegex(stops_at(kKernel))) << result.err;
}

TEST_F(GdbTest, TheVariableMayForbidIt) {
  ChildOptions options;
  options.environment = {{"LLAMAJIT_GDB", "0"}};
  const ChildResult result = gdb_run({"break " + kKernel, "run"}, {}, options);
  EXPECT_THAT(result.out, AllOf(HasSubstr("exited normally"), Not(HasSubstr("Breakpoint 1, "))));
}

TEST_F(GdbTest, AStrippedProgramShowsItsKernelsToo) {
  LLAMAJIT_REQUIRE_PROGRAM("strip");
  const std::string stripped = directory_.path() + "/llamajit";
  const ChildResult strip = run_child({find_program("strip"), LLAMAJIT_PROGRAM, "-o", stripped});
  ASSERT_EQ(strip.exit_code, 0) << strip.err;
  const ChildResult result = gdb({"break " + kKernel, "run"}, run_command(stripped, {}));
  EXPECT_THAT(result.out, ContainsRegex(stops_at(kKernel))) << result.err;
}

// gdb as people come to a run that is already going.
TEST_F(GdbTest, AttachesLater) {
  ChildOptions options;
  options.environment = {{"LLAMAJIT_GDB", "1"}};
  Child child({LLAMAJIT_PROGRAM, "run", directory_.write("endless.bin", endless_model()), "-z", tokenizer_,
               "-p", "a", "-t", "1"},
              options);
  child.read_out(1);
  const ChildResult result =
      run_child({find_program("gdb"), "-nx", "-q", "-batch", "-ex", "info symbol " + kKernel, "-ex",
                 "list " + kKernel, "-p", std::to_string(child.pid())});
  if (result.err.find("Operation not permitted") != std::string::npos) {
    GTEST_SKIP() << "gdb may not attach here (kernel.yama.ptrace_scope)";
  }
  EXPECT_THAT(result.out, AllOf(ContainsRegex("\n?" + kKernel + " in section \\.text"), HasSubstr("endbr64")))
      << result.err;
}

// --- core files

class CoreFile : public GdbTest {
 protected:
  // Returns what gdb says of a core file.
  ChildResult examine(const std::string& core, const std::vector<std::string>& commands) const {
    std::vector<std::string> all = {find_program("gdb"), "-nx", "-q", "-batch"};
    for (const std::string& command : commands) all.insert(all.end(), {"-ex", command});
    all.insert(all.end(), {LLAMAJIT_PROGRAM, core});
    ChildOptions options;
    options.limit = kGdbLimit;
    return run_child(all, options);
  }
};

TEST_F(CoreFile, OfGdbHoldsEverythingWhileListingsAreKept) {
  const std::string core = directory_.path() + "/core.gdb";
  const std::string keep = directory_.path() + "/listings";
  const ChildResult run = gdb_run(
      {"break " + kKernel, "run", "next", "next", "generate-core-file " + core, "kill"}, {"--gdb=" + keep});
  ASSERT_TRUE(fs::exists(core)) << run.out << run.err;
  const ChildResult result = examine(core, {"bt", "list", "x/i $pc", "info symbol $pc"});
  EXPECT_THAT(result.out, AllOf(ContainsRegex("#0  " + kKernel + " \\(\\) at " + keep + "/"),
                                ContainsRegex("#[0-9]+ .* in main \\(\\)"),
                                ContainsRegex("\n[0-9]+[ \t]+mov rbp, rsp +# 0005\n"),
                                ContainsRegex("=> 0x[0-9a-f]+ <" + kKernel + "\\+5>:\tmov +%rsp,%rbp"),
                                ContainsRegex("\n" + kKernel + " \\+ 5 in section \\.text")))
      << result.err;
}

// The listings that were not to be kept: a process that dies leaves them behind.
TEST_F(CoreFile, OfLinuxHoldsEverything) {
  if (read_file("/proc/sys/kernel/core_pattern") != "core\n") {
    GTEST_SKIP() << "core files don't go to the working directory here (kernel.core_pattern)";
  }
  const std::string runtime = directory_.path() + "/runtime";
  const std::string work = directory_.path() + "/work";
  fs::create_directories(runtime);
  fs::create_directories(work);
  ChildOptions options;
  options.directory = work;
  options.environment = {{"XDG_RUNTIME_DIR", runtime}};
  options.before_exec = [] {
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    return setrlimit(RLIMIT_CORE, &unlimited) == 0;
  };
  Child child({LLAMAJIT_PROGRAM, "run", directory_.write("endless.bin", endless_model()), "-z", tokenizer_,
               "-p", "a", "-t", "1", "--gdb"},
              options);
  child.read_out(1);
  kill(child.pid(), SIGSEGV);
  const ChildResult died = child.finish();
  if (died.exit_code == kRefused) GTEST_SKIP() << "core files are forbidden here (ulimit -c)";
  ASSERT_EQ(died.signal, SIGSEGV);
  std::string core;
  for (const auto& file : fs::directory_iterator(work)) core = file.path();
  ASSERT_FALSE(core.empty());
  const ChildResult result =
      examine(core, {"bt", "x/2i " + kKernel, "list " + kKernel, "info symbol " + kKernel});
  EXPECT_THAT(result.out,
              AllOf(ContainsRegex("#[0-9]+ .* in main \\(\\)"), ContainsRegex("<" + kKernel + ">:\tendbr64"),
                    ContainsRegex("\n[0-9]+[ \t]+push rbp +# 0004\n"),
                    ContainsRegex("\n" + kKernel + " in section \\.text")))
      << result.err;
}

// --- and without gdb

class NoFlags : public AlphabetTest {};

TEST_F(NoFlags, NothingIsWrittenWhileTheProgramRuns) {
  const std::string empty = directory_.path() + "/empty";
  fs::create_directories(empty);
  const std::string model = directory_.write("endless.bin", endless_model());
  ChildOptions options;
  options.directory = empty;
  options.environment = {{"XDG_RUNTIME_DIR", empty}, {"TMPDIR", empty}, {"XDG_CACHE_HOME", empty}};
  Child child({LLAMAJIT_PROGRAM, "run", model, "-z", tokenizer_, "-p", "a", "-t", "1"}, options);
  child.read_out(1);
  EXPECT_TRUE(fs::is_empty(empty));
  EXPECT_FALSE(fs::exists(fmt::format("/tmp/perf-{}.map", child.pid())));
  kill(child.pid(), SIGINT);
  EXPECT_THAT(child.finish().err, Not(HasSubstr("listings")));
  EXPECT_TRUE(fs::is_empty(empty));
}

TEST_F(NoFlags, ListingsGoAwayWhenTheProgramIsInterrupted) {
  const std::string runtime = directory_.path() + "/runtime";
  fs::create_directories(runtime);
  const std::string model = directory_.write("endless.bin", endless_model());
  ChildOptions options;
  options.environment = {{"XDG_RUNTIME_DIR", runtime}};
  Child child({LLAMAJIT_PROGRAM, "run", model, "-z", tokenizer_, "-p", "a", "-t", "1", "--gdb"}, options);
  child.read_out(1);
  if (jit::host_tiers().size() > 1) {
    EXPECT_FALSE(fs::is_empty(runtime));
  }
  kill(child.pid(), SIGINT);
  child.finish();
  EXPECT_TRUE(fs::is_empty(runtime));
}

}  // namespace
}  // namespace llamajit::test::gdb_test
