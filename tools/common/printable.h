// Text from files, names of files and the command line, as a terminal may see it.
#pragma once

#include <string>
#include <string_view>

namespace llamajit::cli {

// The text on one line: characters that control a terminal, or turn the direction of what follows, and bytes
// that are no UTF-8 become \x1B and the like. Everything else, backslashes included, stays.
std::string printable(std::string_view text);

}  // namespace llamajit::cli
