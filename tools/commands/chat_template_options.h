// The template that options ask for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "runtime/chat/chat_template.h"
#include "tools/common/model_input.h"

namespace llamajit::cli {

struct TemplateOptions {
  std::optional<std::string> chat_template;       // a name, a file or Jinja; default: the model's
  std::optional<std::string> chat_template_file;  // the same, only a file
  std::optional<std::string> tools;               // a file
  std::vector<std::string> template_arguments;    // NAME=VALUE
};

// But for the tools, which only a chat takes from a file.
void add_template_options(CLI::App& sub, TemplateOptions& options);
inline constexpr const char* kTemplateGroup = "Template";

// With its variables; `model` is for messages. Throws std::runtime_error, and std::invalid_argument for an option that
// means nothing.
ChatTemplate chosen_template(const TemplateOptions& options, const std::string& model,
                             const ModelAndTokenizer& opened);

}  // namespace llamajit::cli
