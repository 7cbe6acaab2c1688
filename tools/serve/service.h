// What answers requests: a model with its tokenizer and template, and the scheduler that runs it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/chat/chat_template.h"
#include "runtime/chat/tool_form.h"
#include "runtime/serve/scheduler.h"
#include "tokenizer/tokenizer.h"
#include "tools/serve/grammar_cache.h"
#include "tools/serve/json_text.h"
#include "tools/serve/responses_items.h"

namespace llamajit::serve {

struct Service {
  std::string model;                 // what clients call it
  std::vector<std::string> aliases;  // other names that mean it
  std::int64_t created;              // seconds since 1970: the file's last change
  const ModelFile& file;
  const Tokenizer& tokenizer;
  const ChatTemplate& chat_template;
  Scheduler& scheduler;
  std::string fingerprint;  // of all that the bits of an answer depend on
  ToolForm tool_form;
  GrammarCache grammars;
  Pooling pooling = Pooling::mean;  // of embeddings
  ResponsesItems items{};

  // Throws ApiError (404) for a name that means another one; none at all, or nothing, means this one.
  void check_model(const Json& request) const;
  bool is_named(std::string_view name) const;
  // Throws ApiError where the line is full (429) or the server ends (503).
  void submit(std::vector<WaitingRequest> requests);
};

}  // namespace llamajit::serve
