// Tools that a request offers to the model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/chat/tool_schemas.h"
#include "tools/serve/fields.h"

namespace llamajit::serve {

struct OfferedTools {
  Json list = Json::array();  // as the request has them: templates show them to the model
  std::vector<Tool> tools;
  bool must_call = false;
  std::optional<std::string> only{};  // the one that must be called
};

// Of the members tools and tool_choice; with choice "none" there are none. Throws ApiError (400).
OfferedTools read_offered_tools(const Fields& fields);

// A schema of {"name": …, "arguments": {…}} for a call of one of those that may be called.
Json call_schema(const OfferedTools& offered);

// What is wrong with call_schema(), said of the tool whose parameters have it: "tools: /anyOf/1/properties/arguments/items:
// expected …" as "tools[1] 'name', parameters: /items: expected …". Other errors stay as they are.
std::string of_its_tool(std::string error, const OfferedTools& offered);

}  // namespace llamajit::serve
