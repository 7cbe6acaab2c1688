// The manual page llamajit(1).
#pragma once

#include <string>

#include "tools/usage/page.h"

namespace llamajit::cli {

// In roff, of the macros man(7).
std::string man_page(const ProgramPage& page, std::string_view version);

}  // namespace llamajit::cli
