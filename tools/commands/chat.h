// Talks with a model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/commands/chat_template_options.h"
#include "tools/common/generation_options.h"

namespace llamajit::cli {

struct ChatOptions {
  TextRequest request;
  SeedOption seed;
  std::optional<std::string> prompt;       // the first question
  std::optional<std::string> prompt_file;  // likewise
  TemplateOptions how_written;
  std::optional<std::string> session;
  std::vector<std::string> folders;  // whose files /save and /load may use, beside the session's
  std::string system;
  std::vector<std::string> reverse_prompts;
  bool single_turn = false;
  bool show_prompt = false;  // write what the model would be given, and end
  bool context_shift = false;
  bool color = false;     // in spite of NO_COLOR
  bool no_color = false;  // none at all
};

// Returns the exit code. Throws what the library throws.
int chat(ChatOptions& options);

}  // namespace llamajit::cli
