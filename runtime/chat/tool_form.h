// In which form a model asks for tools and thinks aloud.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace llamajit {

enum class CallSyntax : std::uint8_t {
  hermes,  // <tool_call>\n{"name": …, "arguments": {…}}\n</tool_call>: Hermes, Qwen 2.5 and 3
  xml,     // <tool_call>\n<function=NAME>\n<parameter=KEY>\nVALUE\n</parameter>\n</function>\n</tool_call>:
           // Qwen3-Coder, Qwen 3.5
  llama,  // {"name": …, "parameters": {…}}, after <|python_tag|> or as the whole reply; more behind ';': Llama 3
  mistral_list,  // [TOOL_CALLS][{"name": …, "arguments": {…}}, …]: up to Mistral Nemo
  mistral_args,  // [TOOL_CALLS]NAME[ARGS]{…}, or NAME[CALL_ID]ID[ARGS]{…}: Mistral Small 3.2, Devstral, Ministral 3
  mistral_name,  // [TOOL_CALLS]NAME{…}
  channels,  // <|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{…}<|call|>: gpt-oss' harmony
};

enum class ReasoningSyntax : std::uint8_t {
  none,
  think,     // <think>…</think>
  brackets,  // [THINK]…[/THINK]: Magistral, Ministral 3
  channels,  // <|channel|>analysis<|message|>…<|end|>: gpt-oss
};

struct ToolForm {
  CallSyntax calls = CallSyntax::hermes;
  ReasoningSyntax reasoning = ReasoningSyntax::none;
  // Whether the template describes tools in a form that is known here. Where it does not, with_described_tools()
  // (tool_text.h) says what the template can't, and the template must not be given `tools`.
  bool in_template = false;

  bool operator==(const ToolForm&) const = default;
};

// By what the template makes of a short conversation with a call, else by what it has of markers; thinking also
// by the vocabulary, where `tokenizer` is not nullptr.
ToolForm find_tool_form(const ChatTemplate& chat_template, const Tokenizer* tokenizer = nullptr);

// The markers of calls and thinking that a reply in this form may have, as they are spelled.
std::span<const std::string_view> call_markers(CallSyntax calls);
std::span<const std::string_view> reasoning_markers(ReasoningSyntax reasoning);

// Whether the prompt ends within a thought, so that the reply goes on with it: Qwen 3.5's and DeepSeek R1's
// templates write <think> themselves.
bool begins_in_reasoning(const ToolForm& form, std::string_view prompt);

// Tokenizer::decode() for ReplyParser: control pieces that are markers of the form are spelled out, too.
std::string_view reply_bytes(const Tokenizer& tokenizer, TokenId previous, TokenId token,
                             const ToolForm& form);

}  // namespace llamajit
