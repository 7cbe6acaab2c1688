// What a schema takes and what it doesn't.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/grammar/grammar_state.h"
#include "runtime/grammar/json_schema.h"

namespace llamajit::test {

// Whether it is a whole text of the grammar.
inline bool is_text(const GrammarState& begin, std::string_view text) {
  GrammarState state = begin;
  return state.accept(text) && state.may_end();
}

inline void expect_texts(std::string_view schema, const std::vector<std::string>& texts,
                         const std::vector<std::string>& others) {
  const GrammarState begin(parse_json_schema(schema, "s"));
  for (const std::string& text : texts) EXPECT_TRUE(is_text(begin, text)) << schema << ": " << text;
  for (const std::string& text : others) EXPECT_FALSE(is_text(begin, text)) << schema << ": " << text;
}

inline void expect_refused(std::string_view schema, const std::string& part) {
  EXPECT_THAT([&] { parse_json_schema(schema, "s"); },
              testing::ThrowsMessage<std::runtime_error>(testing::HasSubstr(part)))
      << schema.substr(0, 200);
}

}  // namespace llamajit::test
