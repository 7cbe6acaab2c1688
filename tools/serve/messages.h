// Conversations as requests have them.
#pragma once

#include <string>
#include <vector>

#include "runtime/chat/chat_template.h"
#include "tools/serve/fields.h"
#include "tools/serve/service.h"

namespace llamajit::serve {

// Contents are texts, lists of parts of which each is a text, or null; role "developer" is "system" to templates.
// Throws ApiError (400), also for pictures and sound, which no model here takes.
std::vector<Message> read_messages(const Fields& fields, const char* name);
// A content alone.
std::string read_content(const Fields& message, const char* name);

}  // namespace llamajit::serve
