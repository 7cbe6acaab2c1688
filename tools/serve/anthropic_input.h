// What requests of /v1/messages have in another form than those of /v1/chat/completions.
#pragma once

#include "tools/serve/answer.h"
#include "tools/serve/fields.h"

namespace llamajit::serve {

// The conversation as answer_conversation() takes it, of the members system, messages, tools, tool_choice, thinking and
// output_config (or output_format): https://platform.claude.com/docs/en/api/messages/create
// Throws ApiError (400), also for pictures, documents, tools that a server runs, and a conversation whose last word is the
// model's, which is to be gone on with.
Json anthropic_conversation(const Fields& fields);
// output_config.format, or output_format, its older name.
FormMembers anthropic_form_members(const Fields& fields);

}  // namespace llamajit::serve
