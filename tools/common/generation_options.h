// Options of the subcommands that generate text.
#pragma once

#include <cstdint>
#include <optional>

#include "tools/common/cli.h"
#include "tools/common/generation.h"

namespace llamajit::cli {

struct SeedOption {
  std::optional<std::uint64_t> seed;  // without one, the clock's
  bool verbose = false;
};

// Everything but what is said. Names with underscores are KoAlpaca.cpp's.
void add_generation_options(CLI::App& sub, TextRequest& request, SeedOption& seed);
// Those of them that say what the engine is like.
void add_engine_options(CLI::App& sub, TextRequest& request);
// Once they are parsed.
void finish_generation_options(TextRequest& request, const SeedOption& seed);

// -n, --n-predict.
void add_token_limit(CLI::App& sub, int& limit, const std::string& text);

// The text with \n, \r, \t, \', \", \\ and \xHH for the characters that they stand for, as llama.cpp's -e has
// them. A backslash before anything else stays.
std::string with_escapes(std::string_view text);

}  // namespace llamajit::cli
