// How a conversation becomes the text that a model was trained on.
#pragma once

#include <atomic>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/chat/message.h"
#include "runtime/chat/message_values.h"
#include "runtime/jinja/template.h"
#include "tokenizer/tokenizer.h"

namespace llamajit {

// A template by its name. It is Jinja, as those inside models are.
struct NamedTemplate {
  std::string_view name;
  std::string_view source;
  std::string_view stop;  // what a model that goes on past its answer would say next; empty: nothing
};
std::span<const NamedTemplate> named_templates();
const NamedTemplate* find_named_template(std::string_view name);
// For a model that names none: by the control tokens that its vocabulary has; else alpaca.
const NamedTemplate& guess_template(const Tokenizer& tokenizer);

class ChatTemplate {
 public:
  // `name` is for messages. Throws std::runtime_error for a template that can't be read.
  ChatTemplate(std::string_view source, std::string name, std::vector<std::string> stops = {});
  explicit ChatTemplate(const NamedTemplate& named);

  const std::string& name() const { return name_; }
  const std::string& source() const { return source_; }
  const std::vector<std::string>& stops() const { return stops_; }
  const CallProbe& call_probe() const { return call_probe_; }  // how it writes calls of tools

  // What the template sees beside the messages. At first `tools` and `documents` are none, as transformers has it.
  void define(const std::string& name, jinja::Value value) { variables_.set(name, std::move(value)); }

  // With the words that make the model answer at the end. `bos` and `eos` are what the template writes for
  // these tokens. `variables` are seen this once, before what is defined: `tools` (a list of dictionaries),
  // `add_generation_prompt`, `enable_thinking` and whatever else a request has for the template. What a message
  // lacks the template does not see, as transformers has it. Throws std::runtime_error where the template
  // refuses, std::invalid_argument where `variables` has messages.
  // Where `cancel` becomes true, jinja::RenderingCancelled.
  std::string render(std::span<const Message> messages, const std::string& bos, const std::string& eos,
                     const jinja::Dict& variables = {}, const std::atomic<bool>* cancel = nullptr) const;

 private:
  std::string name_;
  std::string source_;
  std::vector<std::string> stops_;
  jinja::Dict variables_{{{"tools", jinja::None{}}, {"documents", jinja::None{}}}};
  jinja::Template template_;
  CallProbe call_probe_;
};

// The conversation as the template writes it for this model.
std::string render_chat(const ChatTemplate& chat_template, std::span<const Message> messages,
                        const Tokenizer& tokenizer, const jinja::Dict& variables = {},
                        const std::atomic<bool>* cancel = nullptr);
// Whether a question is part of what the template writes: a template without one would have the model answer
// nothing that it was asked.
bool shows_questions(const ChatTemplate& chat_template, std::span<const Message> messages_before,
                     const Tokenizer& tokenizer);
// A source without anything but blanks is as good as none.
bool is_blank_template(std::string_view source);

// The rendered conversation as tokens: control tokens where their names stand, BOS once. Texts are brought into
// Unicode's form C where the tokenizer does that and `normalize` is set.
std::vector<TokenId> encode_chat(const ChatTemplate& chat_template, std::span<const Message> messages,
                                 const Tokenizer& tokenizer, bool normalize = true,
                                 const jinja::Dict& variables = {},
                                 const std::atomic<bool>* cancel = nullptr);
// The same, of what render_chat() gave.
std::vector<TokenId> encode_rendered_chat(std::string_view text, const Tokenizer& tokenizer,
                                          bool normalize = true);

}  // namespace llamajit
