// llamajit-mpi: several processes, on one machine or on several, run a model together. mpirun starts them.
#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <mpi.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "runtime/base/cpus.h"
#include "runtime/base/fnv.h"
#include "tools/common/cli.h"
#include "tools/common/log.h"
#include "tools/common/ranks.h"
#include "tools/enter.h"
#include "tools/mpi/mpi_ranks.h"

namespace llamajit::cli {
namespace {

constexpr std::string_view kCommands[] = {"run", "chat", "serve", "bench", "perplexity", "verify"};

constexpr std::string_view kHelp =
    "usage: mpirun [-np N] [--hostfile FILE] … llamajit-mpi [OPTIONS] COMMAND [ARGUMENTS]\n"
    "\n"
    "Several processes (ranks), on one machine or on several, run a model together: each has a part of every "
    "matrix and\n"
    "of the keys and values. The text is the same to the last bit as that of one process.\n"
    "\n"
    "  COMMAND             run, chat, serve, bench, perplexity or verify, as llamajit has them: llamajit "
    "COMMAND --help\n"
    "  --split SHARES      what each rank has: even, a number for each rank (3,1: the first has three "
    "quarters), or auto: as\n"
    "                      fast as each reads memory, measured at the start\n"
    "  --rank-timeout S    seconds that a rank may be silent in the middle of a step; then all end; default: "
    "60\n"
    "  -t N                threads of each rank; default: as many as there are CPUs for it\n";

struct MpiOptions {
  std::vector<int> shares{};
  bool measures_shares = false;
  int patience = 60;
  bool help = false;
  int threads = 0;  // the most that are named; 0: none are
  std::optional<std::string> isa{};
  std::vector<std::string> words{};  // for the command
};

int number_in(std::string_view text, std::string_view option, int most,
              std::string_view what = "a whole number") {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && 1 <= number && number <= most)
    return number;
  throw std::invalid_argument(fmt::format("{}: expected {}, 1 to {}, found '{}'", option, what, most, text));
}

std::vector<int> shares_in(std::string_view text) {
  std::vector<int> shares;
  if (text == "even") return shares;
  while (true) {
    const std::size_t comma = text.find(',');
    shares.push_back(number_in(text.substr(0, comma), "--split", 10000, "even, auto or whole numbers"));
    if (comma == std::string_view::npos) return shares;
    text.remove_prefix(comma + 1);
  }
}

// What the command's option says, a number or a list of them (bench); what is none, the command refuses.
int most_threads(const std::string& text) {
  int most = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    int number = 0;
    std::from_chars(text.data() + at, text.data() + end, number);
    most = std::max(most, number);
    at = end + 1;
  }
  return most;
}

MpiOptions read_options(std::span<const std::string> arguments) {
  MpiOptions options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    // The value of --name, in the same word or in the next one.
    const auto value = [&](std::string_view name) -> std::optional<std::string> {
      if (word.starts_with(fmt::format("{}=", name))) return word.substr(name.size() + 1);
      if (word != name) return std::nullopt;
      if (i + 1 == arguments.size()) throw std::invalid_argument(fmt::format("{}: expected a value", name));
      return arguments[++i];
    };
    if (const auto shares = value("--split")) {
      options.measures_shares = *shares == "auto";
      options.shares = options.measures_shares ? std::vector<int>() : shares_in(*shares);
    } else if (const auto seconds = value("--rank-timeout")) {
      options.patience = number_in(*seconds, "--rank-timeout", 1000000);
    } else {
      options.words.push_back(word);
    }
  }
  for (std::size_t i = 0; i < options.words.size(); ++i) {
    const std::string& word = options.words[i];
    const bool names = word == "-t" || word == "--threads";
    if (names && i + 1 < options.words.size()) options.threads = most_threads(options.words[i + 1]);
    if (word.starts_with("--threads=")) options.threads = most_threads(word.substr(10));
    if (word.starts_with("-t") && word.size() > 2) options.threads = most_threads(word.substr(2));
    if (word.starts_with("--isa=")) options.isa = word.substr(6);
    if (word == "--isa" && i + 1 < options.words.size()) options.isa = options.words[i + 1];
  }
  // Threads may be said before the command, too.
  while (options.words.size() > 2 &&
         (options.words.front() == "-t" || options.words.front() == "--threads")) {
    std::rotate(options.words.begin(), options.words.begin() + 2, options.words.begin() + 3);
  }
  options.help = options.words.empty() || options.words.front() == "-h" || options.words.front() == "--help";
  return options;
}

void check_command(const MpiOptions& options, int ranks) {
  if (options.help || options.words.front() == "--version") return;
  if (std::ranges::count(kCommands, options.words.front()) == 0) {
    throw std::invalid_argument(fmt::format("expected one of {}, found '{}'; llamajit has the others",
                                            fmt::join(kCommands, ", "), options.words.front()));
  }
  if (!options.shares.empty() && std::ssize(options.shares) != ranks) {
    throw std::invalid_argument(
        fmt::format("--split: expected a share of each rank, {}, found {}", ranks, options.shares.size()));
  }
}

// Open MPI binds each rank to a core unless told otherwise, with all its threads.
void use_own_cpus(MpiRanks& ranks, int threads) {
  const CpuShare share = share_cpus(ranks.local_rank(), ranks.local_size(), threads);
  ranks.set_crowded(share.machine < ranks.local_size() * std::max(1, threads));
  if (share.widened && ranks.local_rank() == 0) {
    spdlog::info("{}: ranks were bound to {} CPU{}; each takes its part of the {} there are",
                 ranks.hosts()[static_cast<std::size_t>(ranks.rank())], share.before,
                 share.before == 1 ? "" : "s", share.machine);
  }
}

// mpirun gives rank 0 a terminal to write to, whatever its own output is: what is written goes through a pipe, so that the
// command finds none, and its bytes are those of one process.
class PipedOutput {
 public:
  PipedOutput() : out_(dup(STDOUT_FILENO)) {
    std::array<int, 2> ends{};
    if (out_ < 0 || pipe(ends.data()) != 0) return;
    (void)dup2(ends[1], STDOUT_FILENO);
    (void)close(ends[1]);
    copier_ = std::thread([this, from = ends[0]] { copy(from); });
  }
  PipedOutput(const PipedOutput&) = delete;
  PipedOutput& operator=(const PipedOutput&) = delete;
  ~PipedOutput() {
    std::fflush(stdout);
    if (out_ >= 0) (void)dup2(out_, STDOUT_FILENO);  // the pipe's end
    if (copier_.joinable()) copier_.join();
    if (out_ >= 0) (void)close(out_);
  }

 private:
  // Where the reader is gone, the pipe ends, and writing to it fails.
  void copy(int from) const {
    std::array<char, 4096> bytes{};
    for (ssize_t n = 0; (n = read(from, bytes.data(), bytes.size())) > 0;) {
      const char* at = bytes.data();
      while (n > 0) {
        const ssize_t written = write(out_, at, static_cast<std::size_t>(n));
        if (written <= 0) {
          (void)close(from);
          return;
        }
        at += written;
        n -= written;
      }
    }
    (void)close(from);
  }

  int out_;
  std::thread copier_;
};

// Neither interrupts nor output are a follower's business: rank 0 says when it is over.
void become_follower() {
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_IGN);
  const int nowhere = open("/dev/null", O_RDWR);
  if (nowhere < 0) return;
  (void)dup2(nowhere, STDIN_FILENO);
  (void)dup2(nowhere, STDOUT_FILENO);
  (void)close(nowhere);
}

int run_rank(MpiRanks& ranks, const MpiOptions& options) {
  use_own_cpus(ranks, options.threads);
  set_program_ranks({&ranks, ranks.hosts(), options.shares, options.measures_shares, options.threads == 0,
                     [&ranks] { ranks.expect_loading(); }});
  if (ranks.rank() == 0) {
    const PipedOutput output;
    const int code = enter(options.words);
    release_ranks();
    return code;
  }
  become_follower();
  try {
    follow_program(options.isa);
  } catch (const std::exception& error) {
    ranks.fail(fmt::format("rank {} on {}: {}", ranks.rank(),
                           ranks.hosts()[static_cast<std::size_t>(ranks.rank())], error.what()));
  }
  return kOk;
}

// mpirun may give each rank other arguments. One that ends at once, or has another share than the others know of, would
// leave these waiting for it.
bool is_same_on_all(const std::string& text) {
  const std::uint64_t own = fnv1a(text);
  std::uint64_t least = 0, most = 0;
  MPI_Allreduce(&own, &least, 1, MPI_UINT64_T, MPI_MIN, MPI_COMM_WORLD);
  MPI_Allreduce(&own, &most, 1, MPI_UINT64_T, MPI_MAX, MPI_COMM_WORLD);
  return least == most;
}

// What is wrong with arguments that all ranks have, rank 0 says.
int read_and_run(const std::vector<std::string>& arguments, int rank, int size) {
  MpiOptions options;
  std::string wrong;
  try {
    options = read_options(arguments);
    check_command(options, size);
  } catch (const std::invalid_argument& error) {
    wrong = fmt::format("{} (see llamajit-mpi --help)", error.what());
  }
  const std::string begins = !wrong.empty() ? wrong : options.help ? "help" : "a command";
  const std::string splits = fmt::format("{} {}", options.measures_shares, fmt::join(options.shares, ","));
  if (!is_same_on_all(fmt::format("{} {}", begins, splits))) {
    spdlog::error("rank {}: expected the arguments of the other ranks, found {}", rank,
                  wrong.empty() ? fmt::format("'{}'", fmt::join(arguments, " ")) : wrong);
    return kUsage;
  }
  if (!wrong.empty()) {
    if (rank == 0) spdlog::error("{}", wrong);
    return kUsage;
  }
  if (options.help) {
    if (rank == 0) std::fputs(kHelp.data(), stdout);
    return kOk;
  }
  MpiRanks ranks{std::chrono::seconds(options.patience)};
  return run_rank(ranks, options);
}

}  // namespace
}  // namespace llamajit::cli

int main(int argc, char** argv) {
  using namespace llamajit::cli;
  log_to_standard_error();
  int given = 0, rank = 0, size = 1;
  // The server's engine is another thread's than the one that loads.
  MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &given);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (given < MPI_THREAD_SERIALIZED) {
    if (rank == 0) spdlog::error("MPI: expected one that several threads may call in turn");
    MPI_Finalize();
    return kFailure;
  }
  const int code = read_and_run({argv + std::min(argc, 1), argv + argc}, rank, size);
  MPI_Finalize();
  return code;
}
