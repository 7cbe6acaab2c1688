// Talks with a model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/common/generation_options.h"

namespace llamajit::cli {

struct ChatOptions {
  TextRequest request;
  SeedOption seed;
  std::optional<std::string> prompt;              // the first question
  std::optional<std::string> prompt_file;         // likewise
  std::optional<std::string> chat_template;       // a name, a file or Jinja; default: the model's
  std::optional<std::string> chat_template_file;  // the same, only a file
  std::optional<std::string> tools;               // a file
  std::vector<std::string> template_arguments;    // NAME=VALUE
  std::optional<std::string> session;
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
