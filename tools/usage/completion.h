// Scripts that complete words of the command line.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tools/usage/page.h"

namespace llamajit::cli {

std::string bash_completion(const ProgramPage& page);
std::string zsh_completion(const ProgramPage& page);
std::string fish_completion(const ProgramPage& page);

// What a value is completed to.
enum class ValueKind { anything, choices, file, folder, model };
ValueKind value_kind(std::string_view value);
// Those of "f32|f16".
std::vector<std::string> choices_of(std::string_view value);
// In single quotes, as bash and zsh read them.
std::string in_quotes(std::string_view text);
// A script with what its names stand for.
std::string filled(std::string_view script, const std::map<std::string_view, std::string>& values);

}  // namespace llamajit::cli
