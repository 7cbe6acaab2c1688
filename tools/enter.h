// The program as it is called, for each main().
#pragma once

#include <string>
#include <vector>

namespace llamajit::cli {

// Does what the arguments behind the program's name say; returns the exit code. What goes wrong is said on standard error.
int enter(const std::vector<std::string>& arguments);
// The same of what main() is given.
int enter(int argc, char** argv);

}  // namespace llamajit::cli
