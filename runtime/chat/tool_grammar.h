// Grammars that make a model call a tool.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/chat/tool_form.h"

namespace llamajit {

struct ParameterRule {
  std::string name;
  std::string rule{};  // of the value, as JSON; empty: text, without quotation marks
  bool required = true;
};

struct ToolRule {
  std::string name;
  std::string arguments_rule;               // of the arguments, an object of JSON
  std::vector<ParameterRule> parameters{};  // what CallSyntax::xml has instead of that rule, in this order
};

struct ToolGrammar {
  // What the reply begins with: the caller appends it to the prompt (as tokens, its markers being control pieces
  // in many vocabularies), and gives it to ReplyParser first.
  std::string prefix;
  // llama.cpp's GBNF for what comes behind it: `root` and rules named tool-…, without those of the arguments.
  // Markers further on ([ARGS], </tool_call>, <|message|>) stand in it as they are spelled: what matches tokens
  // with it must see reply_bytes().
  std::string gbnf;
};

// One call of one of the tools in the model's form, and nothing else. Throws std::invalid_argument where there is
// no tool, and for a tool without a name.
ToolGrammar tool_call_gbnf(const ToolForm& form, std::span<const ToolRule> tools);

}  // namespace llamajit
