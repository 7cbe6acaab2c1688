// Tokenizers of GGUF files that a test writes.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/files/gguf_tokenizer.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/temp_file.h"

namespace llamajit::test {

inline std::unique_ptr<Tokenizer> tokenizer_of(const GgufWriter& writer) {
  const TempFile temp(writer.content());
  return read_gguf_tokenizer(GgufFile(temp.path()));
}

// That the file is refused, by its name and this message.
inline void expect_error(const GgufWriter& writer, const std::string& message) {
  const TempFile temp(writer.content());
  try {
    read_gguf_tokenizer(GgufFile(temp.path()));
    ADD_FAILURE() << "expected: " << message;
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(),
                testing::AllOf(testing::HasSubstr(temp.path() + ": "), testing::HasSubstr(message)));
  }
}

}  // namespace llamajit::test
