// Messages as templates see them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/chat/message.h"
#include "runtime/jinja/template.h"
#include "runtime/jinja/value.h"

namespace llamajit {

// In what templates differ that know calls of tools. Most take arguments as a dictionary, some only as text;
// where there are calls only, most can join the content to a string, some test whether it is none.
struct CallStyle {
  bool text_arguments = false;
  bool none_content = false;
  bool thinking = false;  // the template reads `thinking`, as gpt-oss' does, not `reasoning_content`
};

// What a template made of a short conversation with a call.
struct CallProbe {
  CallStyle style{};
  std::string text{};  // what it wrote behind the question; empty: it could not, or has no word of calls
};
// Tries all styles: the first in whose rendering the call is to be seen as JSON. Where there is none, the usual.
CallProbe probe_calls(const jinja::Template& compiled, std::string_view source);

// A list of dictionaries: {'role', 'content'}, with `reasoning_content`, `tool_call_id` and `name` where they
// are not empty, and `tool_calls`, where there are any, as [{'type': 'function', 'id', 'function': {'name',
// 'arguments'}}]. Arguments that are no JSON stay text. Throws std::runtime_error for arguments with more values
// within each other than templates may have.
jinja::Value message_values(std::span<const Message> messages, const CallStyle& style);

// What that conversation has in it.
inline constexpr std::string_view kProbeTool = "tool0615";

}  // namespace llamajit
