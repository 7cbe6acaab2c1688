// Finds the real models and tokenizers that some tests read; they are too large for the repository.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace llamajit::test {

// The path of a test data file: in the directory LLAMAJIT_TEST_DATA names, else in ../shared/data beside the
// source tree. The file may be absent; such tests skip.
inline std::string test_data(const std::string& name) {
  const char* directory = std::getenv("LLAMAJIT_TEST_DATA");
  const std::filesystem::path base = directory != nullptr
                                         ? std::filesystem::path(directory)
                                         : std::filesystem::path(LLAMAJIT_SOURCE_DIR) / "../shared/data";
  return (base / name).string();
}

}  // namespace llamajit::test

// Skips the test when a data file is absent. `path` comes from test_data().
#define LLAMAJIT_REQUIRE_FILE(path)   \
  if (!std::filesystem::exists(path)) \
  GTEST_SKIP() << "no " << (path) << "; LLAMAJIT_TEST_DATA names the directory"
