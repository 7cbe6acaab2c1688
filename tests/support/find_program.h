// Programs that tests need and a machine may lack.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>

namespace llamajit::test {

// The path of a program on the PATH; "" if there is none.
inline std::string find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::filesystem::path candidate = std::filesystem::path(folder) / name;
    std::error_code ignored;
    if (std::filesystem::is_regular_file(candidate, ignored)) return candidate.string();
  }
  return "";
}

}  // namespace llamajit::test

// Skips the test where the program is missing.
#define LLAMAJIT_REQUIRE_PROGRAM(name) \
  if (find_program(name).empty()) GTEST_SKIP() << "no " << (name) << " on the PATH"
