#include "tools/common/cli.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>
#include <unistd.h>

namespace llamajit::cli {
namespace {

std::string read_all(std::FILE* file, const std::string& name) {
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    const std::size_t n = std::fread(buffer, 1, sizeof buffer, file);
    text.append(buffer, n);
    if (n < sizeof buffer) break;
  }
  if (std::ferror(file) != 0) throw std::runtime_error(fmt::format("{}: {}", name, std::strerror(errno)));
  return text;
}

}  // namespace

void write_out(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw std::runtime_error(fmt::format("standard output: {}", std::strerror(errno)));
  }
}

std::string read_standard_input() {
  return read_all(stdin, "standard input");
}

std::string read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) throw std::runtime_error(fmt::format("{}: {}", path, std::strerror(errno)));
  return read_all(file.get(), path);
}

void add_precision(CLI::App& sub, Precision& precision) {
  static const std::map<std::string, jit::ElementType> kTypes = {{"f32", jit::ElementType::f32},
                                                                 {"f16", jit::ElementType::f16},
                                                                 {"bf16", jit::ElementType::bf16},
                                                                 {"q8_0", jit::ElementType::q8_0}};
  sub.add_option_function<std::string>(
         "--kv-type", [&precision](const std::string& name) { precision.kv_type = kTypes.at(name); },
         "Keep keys and values as f32, f16, bf16 or q8_0; default: f32 with weights in F32 or F16 without "
         "--bf16, else f16")
      ->check(CLI::IsMember(kTypes));
  auto* all = sub.add_flag_callback(
      "--bf16", [&precision] { precision.bf16 = Bf16Products::all_floats; },
      "Round F32 and F16 matrices to bf16, too, and what they are multiplied with: faster on CPUs that "
      "multiply it");
  sub.add_flag_callback(
         "--no-bf16", [&precision] { precision.bf16 = Bf16Products::none; },
         "Multiply BF16 matrices exactly, in f32; by default their inputs are rounded to bf16")
      ->excludes(all);
}

void add_no_normalize(CLI::App& sub, bool& normalize) {
  sub.add_flag(
      "!--no-normalize", normalize,
      "Take the text as it is, as llama.cpp does, where the model's own tokenizer first composes its "
      "letters and accents (Unicode's NFC)");
}

void add_tune(CLI::App& sub, bool& tune) {
  sub.add_flag(
      "--tune", tune,
      "Before the first token, measure variants of the kernels that were not measured on this CPU yet; the "
      "fastest are remembered and used from then on");
}

}  // namespace llamajit::cli
