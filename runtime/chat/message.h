// What is said in a chat, by whom.
#pragma once

#include <string>
#include <vector>

namespace llamajit {

// A tool that the model asks for.
struct ToolCall {
  std::string id;  // what the result's message names; Mistral's templates want nine letters and digits
  std::string name;
  std::string arguments;  // an object of JSON as text; empty: none

  bool operator==(const ToolCall&) const = default;
};

struct Message {
  std::string role;  // "system", "user", "assistant" or "tool"
  std::string content;
  std::string reasoning_content{};     // what an assistant thought before the content
  std::vector<ToolCall> tool_calls{};  // an assistant's, behind the content
  std::string tool_call_id{};          // of the call whose result a tool's message is
  std::string name{};                  // of that tool

  bool operator==(const Message&) const = default;
};

}  // namespace llamajit
