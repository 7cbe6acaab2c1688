// Files that are refused.
#pragma once

#include <stdexcept>
#include <string>

#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "runtime/files/model_reader.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/temp_file.h"

namespace llamajit::test {

// Reading the file is an error that names it, with this message.
inline void expect_refused(const GgufWriter& writer, const std::string& message) {
  using ::testing::HasSubstr;
  const TempFile temp(writer.content());
  try {
    read_model(temp.path());
    ADD_FAILURE() << "expected: " << message;
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), ::testing::AllOf(HasSubstr(temp.path() + ": "), HasSubstr(message)));
  }
}

}  // namespace llamajit::test
