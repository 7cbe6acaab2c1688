// A conversation as the model reads it.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "tools/serve/choice_writer.h"
#include "tools/serve/fields.h"
#include "tools/serve/service.h"

namespace llamajit::serve {

struct ConversationPrompt {
  std::string text;
  std::vector<TokenId> tokens;
  ReplyReading reading;         // of the reply
  std::shared_ptr<Masks> form;  // what the reply is held to; nullptr: nothing
};

// Of a request's members messages, tools, tool_choice, response_format, grammar, json_schema, reasoning_effort and
// chat_template_kwargs. A reply that must have a form, or call a tool, begins behind the thought that the template may
// have begun. Errors of the form name `members`. Throws ApiError (400), also where the template refuses the conversation,
// or `gone` has become true.
ConversationPrompt read_conversation(const Fields& fields, Service& service, const std::atomic<bool>& gone,
                                     const FormMembers& members = {});

}  // namespace llamajit::serve
