// The subcommands share these.
#pragma once

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "runtime/forward/engine.h"

namespace llamajit::cli {

inline constexpr int kOk = 0;
inline constexpr int kFailure = 1;
inline constexpr int kUsage = 2;
inline constexpr int kInterrupted = 130;  // 128 + SIGINT, as shells have it

// main() calls this after parsing; the callback of the subcommand that was given sets it.
using Command = std::function<int()>;

// Each adds its subcommand to the program.
void add_run(CLI::App& app, Command& command);
void add_chat(CLI::App& app, Command& command);
void add_serve(CLI::App& app, Command& command);
void add_embed(CLI::App& app, Command& command);
void add_tokenize(CLI::App& app, Command& command);
void add_inspect(CLI::App& app, Command& command);
void add_models(CLI::App& app, Command& command);
void add_kernels(CLI::App& app, Command& command);
void add_report(CLI::App& app, Command& command);
void add_bench(CLI::App& app, Command& command);
void add_verify(CLI::App& app, Command& command);
void add_perplexity(CLI::App& app, Command& command);
void add_imatrix(CLI::App& app, Command& command);
void add_quantize(CLI::App& app, Command& command);
void add_pack(CLI::App& app, Command& command);
void add_ngrams(CLI::App& app, Command& command);
void add_lesson(CLI::App& app, Command& command);
void add_completion(CLI::App& app, Command& command);
void add_man(CLI::App& app, Command& command);

// The program's arguments as CLI11 is to see them: a lesson's
// "--" parts its lists of numbers, of which some are negative.
std::vector<std::string> lesson_arguments(std::vector<std::string> arguments);
void add_convert(CLI::App& app, Command& command);

// With no arguments: model.bin and tokenizer.bin of the
// working directory, a line of standard input as the prompt.
bool bare_run_files_exist();
int bare_run();

// Who read standard output reads no more, as head(1) does: there is nobody to tell anything.
struct ReaderLeft : std::exception {
  const char* what() const noexcept override { return "standard output: its reader left"; }
};

// Writes to standard output and flushes. Throws ReaderLeft, or std::runtime_error if that fails otherwise (a
// full disk).
void write_out(std::string_view text);

// All of standard input; from a terminal, a line on standard error says what is waited for. Throws
// std::runtime_error.
std::string read_standard_input(std::string_view what = "the text");
void say_what_is_read(std::string_view what, std::string_view end);
std::string read_file(const std::string& path);
// The same of what somebody wrote: a grammar, a template, which no program should hold a disk's contents for.
std::string read_source(const std::string& path);
// A file's and a line's last newline is where they end, not what they say (llama.cpp has it so too); so is DOS's.
std::string without_last_newline(std::string text);

// [-m|--model] MODEL, and how it is found.
template <class Path>
CLI::Option* add_model(CLI::App& sub, Path& model, const std::string& text) {
  return sub.add_option("-m,--model,MODEL", model, text)->type_name("MODEL");
}
// What most commands take.
inline constexpr const char* kModelText =
    "A GGUF file (of a split one, the first part), a llama2.c checkpoint, a legacy ggml file, or the name of "
    "a bundled model; default: story, which is bundled";

// --isa TIER.
void add_isa(CLI::App& sub, std::optional<std::string>& isa, const std::string& text);

// -t N.
CLI::Option* add_threads(CLI::App& sub, int& threads);

// --kv-type f32|f16|bf16|q8_0, --bf16, --no-bf16.
void add_precision(CLI::App& sub, Precision& precision);

// --pooling mean|last|cls.
void add_pooling(CLI::App& sub, std::optional<Pooling>& pooling);

// --no-normalize.
void add_no_normalize(CLI::App& sub, bool& normalize);

// --tune.
void add_tune(CLI::App& sub, bool& tune);

}  // namespace llamajit::cli
