// The template that a chat's options ask for.
#pragma once

#include "runtime/chat/chat_template.h"
#include "tools/commands/chat.h"
#include "tools/common/model_input.h"

namespace llamajit::cli {

// With its variables. Throws std::runtime_error, and std::invalid_argument for an option that means nothing.
ChatTemplate chosen_template(const ChatOptions& options, const ModelAndTokenizer& opened);

}  // namespace llamajit::cli
