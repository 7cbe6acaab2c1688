// What requests of /v1/responses have in another form than those of /v1/chat/completions.
#pragma once

#include <string>

#include "tools/serve/fields.h"
#include "tools/serve/responses_items.h"

namespace llamajit::serve {

// The conversation as answer_conversation() takes it, of the members input, instructions, tools, tool_choice,
// text.format and reasoning. `owner` as in ResponsesItems. Throws ApiError (400).
Json responses_conversation(const Fields& fields, const ResponsesItems& items, const std::string& owner);

}  // namespace llamajit::serve
