#include "runtime/chat/chat_template.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace llamajit {
namespace {

// Each begins where BOS has been written, or asks for it. A system message takes the place of Alpaca's first
// sentences; models without a place for one get it in front of the first question.
constexpr NamedTemplate kTemplates[] = {
    // Stanford Alpaca as alpaca.cpp and KoAlpaca.cpp write it.
    {"alpaca",
     R"({%- if messages[0].role == 'system' %}{{ messages[0].content }}{% else %}{{ 'Below is an instruction that describes a task. Write a response that appropriately completes the request.' }}{% endif %}{{ '\n\n' }}
{%- for message in messages %}
{%- if message.role == 'user' %}{{ '### Instruction:\n\n' ~ message.content ~ '\n\n### Response:\n\n' }}
{%- elif message.role == 'assistant' %}{{ message.content ~ '\n\n' }}{% endif %}
{%- endfor %})",
     "### Instruction:"},
    // KoAlpaca's models were trained with this one.
    {"koalpaca",
     R"({%- if messages[0].role == 'system' %}{{ messages[0].content }}{% else %}{{ 'Below is an instruction that describes a task.\n아래는 작업을 설명하는 명령어입니다.\n\nWrite a response that appropriately completes the request.\n명령어에 따른 요청을 적절히 완료하는 응답을 작성하세요.' }}{% endif %}{{ '\n\n' }}
{%- for message in messages %}
{%- if message.role == 'user' %}{{ '### Instruction(명령어):\n' ~ message.content ~ '\n\n### Response(응답):' }}
{%- elif message.role == 'assistant' %}{{ message.content ~ '\n\n' }}{% endif %}
{%- endfor %})",
     "### Instruction("},
    {"koalpaca-polyglot",
     R"({%- for message in messages %}
{%- if message.role == 'user' %}{{ '### 질문: ' ~ message.content ~ '\n\n### 답변:' }}
{%- else %}{{ message.content ~ '\n\n' }}{% endif %}
{%- endfor %})",
     "### 질문:"},
    {"llama2",
     R"({%- set ns = namespace(system='') %}
{%- for message in messages %}
{%- if message.role == 'system' %}{% set ns.system = '<<SYS>>\n' ~ message.content ~ '\n<</SYS>>\n\n' %}
{%- elif message.role == 'user' %}{{ bos_token ~ '[INST] ' ~ ns.system ~ message.content | trim ~ ' [/INST]' }}{% set ns.system = '' %}
{%- else %}{{ ' ' ~ message.content | trim ~ ' ' ~ eos_token }}{% endif %}
{%- endfor %})",
     "[INST]"},
    {"llama3",
     R"({{- bos_token }}
{%- for message in messages %}{{ '<|start_header_id|>' ~ message.role ~ '<|end_header_id|>\n\n' ~ message.content | trim ~ '<|eot_id|>' }}{% endfor %}
{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }})",
     ""},
    {"chatml",
     R"({%- for message in messages %}{{ '<|im_start|>' ~ message.role ~ '\n' ~ message.content ~ '<|im_end|>\n' }}{% endfor %}
{{- '<|im_start|>assistant\n' }})",
     "<|im_end|>"},
    {"mistral",
     R"({{- bos_token }}
{%- set ns = namespace(system='') %}
{%- for message in messages %}
{%- if message.role == 'system' %}{% set ns.system = message.content ~ '\n\n' %}
{%- elif message.role == 'user' %}{{ '[INST] ' ~ ns.system ~ message.content ~ ' [/INST]' }}{% set ns.system = '' %}
{%- else %}{{ message.content ~ eos_token }}{% endif %}
{%- endfor %})",
     "[INST]"},
    {"gemma",
     R"({{- bos_token }}
{%- set ns = namespace(system='') %}
{%- for message in messages %}
{%- if message.role == 'system' %}{% set ns.system = message.content | trim ~ '\n\n' %}
{%- else %}{{ '<start_of_turn>' ~ ('model' if message.role == 'assistant' else 'user') ~ '\n' ~ ns.system ~ message.content | trim ~ '<end_of_turn>\n' }}{% set ns.system = '' %}{% endif %}
{%- endfor %}
{{- '<start_of_turn>model\n' }})",
     "<end_of_turn>"},
    {"phi3",
     R"({%- for message in messages %}{{ '<|' ~ message.role ~ '|>\n' ~ message.content ~ '<|end|>\n' }}{% endfor %}
{{- '<|assistant|>\n' }})",
     "<|end|>"},
    {"zephyr",
     R"({%- for message in messages %}{{ '<|' ~ message.role ~ '|>\n' ~ message.content ~ eos_token ~ '\n' }}{% endfor %}
{{- '<|assistant|>\n' }})",
     "<|user|>"},
};

// Control tokens that only one of the formats has.
constexpr std::pair<std::string_view, std::string_view> kMarks[] = {
    {"<|im_start|>", "chatml"},   {"<|start_header_id|>", "llama3"},
    {"<start_of_turn>", "gemma"}, {"<|assistant|>", "phi3"},
    {"[INST]", "mistral"},
};

std::string spelled(const Tokenizer& tokenizer, TokenId token) {
  const SpecialTokens& special = tokenizer.vocab().special();
  return special.spelled_in_text && token >= 0 ? tokenizer.vocab()[token].bytes : std::string();
}

}  // namespace

std::span<const NamedTemplate> named_templates() {
  return kTemplates;
}

const NamedTemplate* find_named_template(std::string_view name) {
  const auto* const found = std::ranges::find(kTemplates, name, &NamedTemplate::name);
  return found == std::end(kTemplates) ? nullptr : found;
}

const NamedTemplate& guess_template(const Tokenizer& tokenizer) {
  for (const auto& [mark, name] : kMarks) {
    const bool known = tokenizer.encode(mark, {.bos = false, .eos = false, .special = true}).size() == 1;
    if (known) return *find_named_template(name);
  }
  return *find_named_template("alpaca");
}

ChatTemplate::ChatTemplate(std::string_view source, std::string name, std::vector<std::string> stops)
    : name_(std::move(name)),
      source_(source),
      stops_(std::move(stops)),
      template_(source, name_),
      call_probe_(probe_calls(template_, source)) {}

ChatTemplate::ChatTemplate(const NamedTemplate& named)
    : ChatTemplate(named.source, std::string(named.name),
                   named.stop.empty() ? std::vector<std::string>{} : std::vector{std::string(named.stop)}) {}

std::string ChatTemplate::render(std::span<const Message> messages, const std::string& bos,
                                 const std::string& eos, const jinja::Dict& variables,
                                 const std::atomic<bool>* cancel) const {
  if (variables.find("messages") != nullptr)
    throw std::invalid_argument("a template's variables: expected another name than 'messages'");
  jinja::Dict all;
  all.entries = {{"messages", message_values(messages, call_probe_.style)},
                 {"bos_token", bos},
                 {"eos_token", eos},
                 {"add_generation_prompt", true}};
  for (const auto& [name, value] : variables_.entries) all.set(name, value);
  for (const auto& [name, value] : variables.entries) all.set(name, value);
  jinja::Limits limits;
  limits.cancel = cancel;
  return template_.render(all, limits);
}

std::string render_chat(const ChatTemplate& chat_template, std::span<const Message> messages,
                        const Tokenizer& tokenizer, const jinja::Dict& variables,
                        const std::atomic<bool>* cancel) {
  const SpecialTokens& special = tokenizer.vocab().special();
  return chat_template.render(messages, spelled(tokenizer, special.bos), spelled(tokenizer, special.eos()),
                              variables, cancel);
}

bool shows_questions(const ChatTemplate& chat_template, std::span<const Message> messages_before,
                     const Tokenizer& tokenizer) {
  const std::string probe = "question0615";
  std::vector<Message> messages(messages_before.begin(), messages_before.end());
  messages.push_back({"user", probe});
  const std::string text = render_chat(chat_template, messages, tokenizer);
  const auto same_letter = [](char a, char b) { return (a | 0x20) == (b | 0x20); };  // some change the case
  return std::search(text.begin(), text.end(), probe.begin(), probe.end(), same_letter) != text.end();
}

bool is_blank_template(std::string_view source) {
  return source.find_first_not_of(" \t\n\v\f\r") == std::string_view::npos;
}

std::vector<TokenId> encode_chat(const ChatTemplate& chat_template, std::span<const Message> messages,
                                 const Tokenizer& tokenizer, bool normalize, const jinja::Dict& variables,
                                 const std::atomic<bool>* cancel) {
  return encode_rendered_chat(render_chat(chat_template, messages, tokenizer, variables, cancel), tokenizer,
                              normalize);
}

std::vector<TokenId> encode_rendered_chat(std::string_view text, const Tokenizer& tokenizer, bool normalize) {
  const std::string bos = spelled(tokenizer, tokenizer.vocab().special().bos);
  const bool has_bos = !bos.empty() && text.starts_with(bos);
  return tokenizer.encode(text, {.bos = !has_bos, .eos = false, .special = true, .normalize = normalize});
}

}  // namespace llamajit
