// Loading a damaged file may fail soon, with one line that names it, or succeed; it may do nothing else.
#pragma once

#include <ctime>
#include <functional>
#include <stdexcept>
#include <string>

#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

namespace llamajit::test {

// Processor time of this process: what the work takes, on however busy a machine.
inline double seconds_used() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

// Loads the file; true when that was an error. `damage` says in messages what was done to it.
inline bool fails_cleanly(const std::string& path, const std::string& damage,
                          const std::function<void(const std::string& path)>& load) {
  const double start = seconds_used();
  std::string error;
  try {
    load(path);
  } catch (const std::runtime_error& thrown) {
    error = thrown.what();
  }
  EXPECT_LT(seconds_used() - start, 1.0) << damage;
  if (error.empty()) return false;
  EXPECT_THAT(error, ::testing::HasSubstr(path)) << damage;
  EXPECT_EQ(error.find('\n'), std::string::npos) << damage;
  return true;
}

}  // namespace llamajit::test
