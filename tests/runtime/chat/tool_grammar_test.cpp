// The frames of forced calls, word for word.
#include "runtime/chat/tool_grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llamajit::tool_grammar_test {
namespace {

using ::testing::HasSubstr;

const std::vector<ToolRule> kRules{{"weather", "weather-args"}, {"no\"w", "now-args"}};

ToolGrammar grammar(CallSyntax calls) {
  return tool_call_gbnf({calls, ReasoningSyntax::none, true}, kRules);
}

TEST(ToolGrammar, FramesOfTheForms) {
  const ToolGrammar hermes = grammar(CallSyntax::hermes);
  EXPECT_EQ(hermes.prefix, "<tool_call>");
  EXPECT_EQ(hermes.gbnf, R"(root ::= "\n" tool-call "\n</tool_call>"
tool-call ::= tool-call-0 | tool-call-1
tool-call-0 ::= "{\"name\": \"weather\", \"arguments\": " weather-args "}"
tool-call-1 ::= "{\"name\": \"no\\\"w\", \"arguments\": " now-args "}"
)");
  const ToolGrammar llama = grammar(CallSyntax::llama);
  EXPECT_EQ(llama.prefix, "");
  EXPECT_THAT(llama.gbnf, HasSubstr("root ::= tool-call\n"));
  EXPECT_THAT(llama.gbnf, HasSubstr(R"("{\"name\": \"weather\", \"parameters\": " weather-args "}")"));
  const ToolGrammar list = grammar(CallSyntax::mistral_list);
  EXPECT_EQ(list.prefix, "[TOOL_CALLS]");
  EXPECT_THAT(list.gbnf, HasSubstr(R"(root ::= "\[" tool-call "\]")"));
  EXPECT_THAT(grammar(CallSyntax::mistral_args).gbnf,
              HasSubstr(R"(tool-call-0 ::= "weather\[ARGS\]" weather-args)"));
  EXPECT_THAT(grammar(CallSyntax::mistral_name).gbnf,
              HasSubstr("tool-call-0 ::= \"weather\" weather-args\n"));
  const ToolGrammar channels = grammar(CallSyntax::channels);
  EXPECT_EQ(channels.prefix, "<|channel|>");
  EXPECT_THAT(channels.gbnf, HasSubstr(R"("weather <|constrain|>json<|message|>" weather-args)"));
}

TEST(ToolGrammar, ParametersOfXml) {
  const std::vector<ToolRule> rules{{"f", "", {{"text"}, {"days", "integer", false}}}, {"g", "", {}}};
  const ToolGrammar xml = tool_call_gbnf({CallSyntax::xml, ReasoningSyntax::none, true}, rules);
  EXPECT_THAT(
      xml.gbnf,
      HasSubstr(R"(tool-call-0 ::= "<function=f>\n" "<parameter=text>\n" tool-text-0 "\n</parameter>\n" )"
                R"(("<parameter=days>\n" integer "\n</parameter>\n")? "</function>")"));
  EXPECT_THAT(xml.gbnf, HasSubstr(R"(tool-call-1 ::= "<function=g>\n" "</function>")"));
  EXPECT_THAT(
      xml.gbnf,
      HasSubstr("tool-text-0 ::= \"\" | \"<\" tool-text-1 | [^<] tool-text-0\n"
                "tool-text-1 ::= \"\" | \"<\" tool-text-1 | \"/\" tool-text-2 | [^</] tool-text-0\n"));
  EXPECT_THAT(xml.gbnf, HasSubstr("tool-text-11 ::= \"\" | \"<\" tool-text-1 | [^<>] tool-text-0\n"));
}

TEST(ToolGrammar, WantsToolsWithNames) {
  EXPECT_THROW(tool_call_gbnf({}, {}), std::invalid_argument);
  EXPECT_THROW(tool_call_gbnf({}, std::vector<ToolRule>{{"", "x"}}), std::invalid_argument);
}

}  // namespace
}  // namespace llamajit::tool_grammar_test
