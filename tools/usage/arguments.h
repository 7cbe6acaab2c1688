// The words of the command line, before the parser takes them: what it would misread, or say nothing helpful
// about, is settled here.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace llamajit::cli {

// The program was not called as it can be.
struct UsageError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// By the name that messages have for an option: the other one that was typed.
using TypedNames = std::map<std::string, std::string>;

struct Arguments {
  std::string command;               // empty: the program's own options
  std::vector<std::string> words;    // for the parser, the command first
  std::vector<std::string> notices;  // on options of other programs that change nothing
  TypedNames typed{};
};

// The first of `words`, the command: itself, or run where it is a model or an option of it. Throws UsageError.
std::vector<std::string> with_command(const CLI::App& app, std::vector<std::string> words);

// Options of llama.cpp become ours where they mean something; values stand apart from names, and words without
// a name behind all options. Throws UsageError for options that there are not (which is why it needs them
// all), options given twice and values that are missing.
Arguments read_arguments(const CLI::App& app, std::vector<std::string> words);

// A message that begins with an option's name, with the name that was typed.
std::string as_typed(const std::string& message, const TypedNames& typed);

}  // namespace llamajit::cli
