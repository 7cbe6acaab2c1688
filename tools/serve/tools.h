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

}  // namespace llamajit::serve
