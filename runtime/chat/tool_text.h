// Tools in plain words, for templates that know nothing of them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/chat/message.h"

namespace llamajit {

// The conversation as messages of "system", "user" and "assistant" that any template can write, with the tools in
// Hermes' form: `tools` (a list as OpenAI's requests have it, each an object of JSON as text, one an element)
// stand behind the system message's text, which is added where there is none; calls stand in the assistant's
// content, and results that follow one another become one message of the user. Without tools and calls the
// messages are as they were.
std::vector<Message> with_described_tools(std::span<const Message> messages,
                                          std::span<const std::string> tools);

}  // namespace llamajit
