#include "tools/common/cli.h"

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jit/base/isa.h"
#include "runtime/generate/embedding.h"
#include "tools/common/checks.h"
#include "tools/common/generation.h"

namespace llamajit::cli {
namespace {

constexpr const char* kMachineOptions = "Machine";

// Pipes and devices may have no end.
constexpr std::size_t kMostOfNoFile = std::size_t{128} << 20;

std::string read_all(std::FILE* file, const std::string& name) {
  struct stat status {};
  const bool ends = fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode);
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    const std::size_t n = std::fread(buffer, 1, sizeof buffer, file);
    text.append(buffer, n);
    if (n < sizeof buffer) break;
    if (!ends && text.size() > kMostOfNoFile)
      throw std::runtime_error(fmt::format(
          "{}: expected a file, or {} MiB at most of what is none, found more", name, kMostOfNoFile >> 20));
  }
  if (std::ferror(file) != 0) throw std::runtime_error(fmt::format("{}: {}", name, std::strerror(errno)));
  return text;
}

}  // namespace

void write_out(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    if (errno == EPIPE) throw ReaderLeft();
    throw std::runtime_error(fmt::format("standard output: {}", std::strerror(errno)));
  }
}

void say_what_is_read(std::string_view what, std::string_view end) {
  if (isatty(STDIN_FILENO) != 0) spdlog::warn("type {} here; {} ends it", what, end);
}

std::string read_standard_input(std::string_view what) {
  say_what_is_read(what, "Ctrl-D on a line of its own");
  return read_all(stdin, "standard input");
}

std::string read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) throw std::runtime_error(fmt::format("{}: {}", path, std::strerror(errno)));
  return read_all(file.get(), path);
}

std::string read_source(const std::string& path) {
  constexpr std::size_t kMost = std::size_t{16} << 20;
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
      static_cast<std::size_t>(status.st_size) > kMost)
    throw std::runtime_error(
        fmt::format("{}: expected {} MiB at most, found {} bytes", path, kMost >> 20, status.st_size));
  return read_file(path);
}

std::string without_last_newline(std::string text) {
  if (text.ends_with('\n')) text.resize(text.size() - (text.ends_with("\r\n") ? 2 : 1));
  return text;
}

void add_pooling(CLI::App& sub, std::optional<Pooling>& pooling) {
  auto* option = sub.add_option_function<std::string>(
      "--pooling", [&pooling](const std::string& name) { pooling = pooling_from(name); },
      "Which hidden states make a text's embedding; default: the model's, or mean");
  choose_from(*option, {"mean", "last", "cls"});
}

void add_precision(CLI::App& sub, Precision& precision) {
  static const std::map<std::string, jit::ElementType> kTypes = {{"f32", jit::ElementType::f32},
                                                                 {"f16", jit::ElementType::f16},
                                                                 {"bf16", jit::ElementType::bf16},
                                                                 {"q8_0", jit::ElementType::q8_0}};
  auto* kv_type = sub.add_option_function<std::string>(
      "--kv-type", [&precision](const std::string& name) { precision.kv_type = kTypes.at(name); },
      "How keys and values are kept; default: f32 with weights in F32 or F16 without --bf16, else f16");
  choose_from(*kv_type, {"f32", "f16", "bf16", "q8_0"});
  kv_type->group(kMachineOptions);
  auto* all = sub.add_flag_callback(
      "--bf16", [&precision] { precision.bf16 = Bf16Products::all_floats; },
      "Round F32 and F16 matrices to bf16, too, and what they are multiplied with: faster on CPUs that "
      "multiply it");
  all->group(kMachineOptions);
  sub.add_flag_callback(
         "--no-bf16", [&precision] { precision.bf16 = Bf16Products::none; },
         "Multiply BF16 matrices exactly, in f32; by default their inputs are rounded to bf16")
      ->group(kMachineOptions)
      ->excludes(all);
}

void add_no_normalize(CLI::App& sub, bool& normalize) {
  sub.add_flag(
      "!--no-normalize", normalize,
      "Take the text as it is, as llama.cpp does, where the model's own tokenizer first composes its "
      "letters and accents (Unicode's NFC)");
}

void add_isa(CLI::App& sub, std::optional<std::string>& isa, const std::string& text) {
  std::vector<std::string> names;
  for (const jit::Tier tier : jit::kAllTiers) names.emplace_back(to_string(tier));
  CLI::Option* const option = sub.add_option("--isa", isa, text);
  choose_from(*option, names);
  option->group(kMachineOptions);
}

CLI::Option* add_threads(CLI::App& sub, int& threads) {
  threads = default_threads();
  return sub.add_option("-t,--threads", threads, "Number of threads; default: as many as CPUs")
      ->transform(whole_number(1, 1024))
      ->group(kMachineOptions);
}

void add_tune(CLI::App& sub, bool& tune) {
  CLI::Option* const option = sub.add_flag(
      "--tune", tune,
      "Before the first token, measure variants of the kernels that were not measured on this CPU yet; the "
      "fastest are remembered and used from then on");
  option->group(kMachineOptions);
}

}  // namespace llamajit::cli
