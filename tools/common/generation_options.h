// Options of the subcommands that generate text.
#pragma once

#include <cstdint>
#include <optional>

#include "tools/common/cli.h"
#include "tools/common/generation.h"

namespace llamajit::cli {

struct SeedOption {
  std::optional<std::uint64_t> seed;
  bool verbose = false;
};

// Everything but what is said. Names with underscores are KoAlpaca.cpp's.
void add_generation_options(CLI::App& sub, TextRequest& request, SeedOption& seed);
// Once they are parsed.
void finish_generation_options(TextRequest& request, const SeedOption& seed);

}  // namespace llamajit::cli
