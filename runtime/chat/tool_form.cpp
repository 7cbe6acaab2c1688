#include "runtime/chat/tool_form.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "runtime/chat/message_values.h"
#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

constexpr std::string_view kTagged[] = {"<tool_call>", "</tool_call>"};
constexpr std::string_view kLlama[] = {"<|python_tag|>"};
constexpr std::string_view kMistral[] = {"[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"};
constexpr std::string_view kChannels[] = {"<|start|>", "<|channel|>",   "<|message|>", "<|end|>",
                                          "<|call|>",  "<|constrain|>", "<|return|>"};
constexpr std::string_view kThink[] = {"<think>", "</think>"};
constexpr std::string_view kBrackets[] = {"[THINK]", "[/THINK]"};

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// How the template writes the call of the probe's tool; nothing where it does not, or in no known way.
std::optional<CallSyntax> syntax_of(std::string_view rendered) {
  const std::string name(kProbeTool);
  if (has(rendered, "[TOOL_CALLS][") || has(rendered, "[TOOL_CALLS] [")) return CallSyntax::mistral_list;
  if (has(rendered, "[TOOL_CALLS]" + name)) {
    return has(rendered, "[ARGS]") ? CallSyntax::mistral_args : CallSyntax::mistral_name;
  }
  if (has(rendered, "to=functions." + name) && has(rendered, "<|message|>")) return CallSyntax::channels;
  const std::size_t tag = rendered.find("<tool_call>");
  if (tag != std::string_view::npos) {
    const std::string_view inner = without_leading_space(rendered.substr(tag + kTagged[0].size()));
    if (inner.starts_with("<function=" + name + ">")) return CallSyntax::xml;
    if (inner.starts_with('{')) return CallSyntax::hermes;
    return std::nullopt;
  }
  if (has(rendered, fmt::format(R"({{"name": "{}", "parameters": )", name))) return CallSyntax::llama;
  return std::nullopt;
}

// For templates that speak of tools but do not render calls: what they tell the model to write.
std::optional<CallSyntax> syntax_by_source(std::string_view source) {
  if (!has(source, "tools")) return std::nullopt;
  if (has(source, "[TOOL_CALLS]")) {
    return has(source, "[ARGS]") ? CallSyntax::mistral_args : CallSyntax::mistral_list;
  }
  if (has(source, "<|python_tag|>")) return CallSyntax::llama;
  if (!has(source, "<tool_call>") || has(source, "<arg_key>")) return std::nullopt;
  return has(source, "<function=") ? CallSyntax::xml : CallSyntax::hermes;
}

std::optional<CallSyntax> find_syntax(const ChatTemplate& chat_template) {
  const std::string_view written = chat_template.call_probe().text;
  return has(written, kProbeTool) ? syntax_of(written) : syntax_by_source(chat_template.source());
}

ReasoningSyntax find_reasoning(std::string_view source, const Tokenizer* tokenizer) {
  if (has(source, "<|channel|>") && has(source, "<|message|>")) return ReasoningSyntax::channels;
  if (has(source, kBrackets[1])) return ReasoningSyntax::brackets;
  if (has(source, kThink[1])) return ReasoningSyntax::think;
  const auto is_piece = [&](std::string_view mark) {
    return tokenizer->encode(mark, {.bos = false, .eos = false, .special = true}).size() == 1;
  };
  if (tokenizer != nullptr && is_piece(kThink[0]) && is_piece(kThink[1])) return ReasoningSyntax::think;
  return ReasoningSyntax::none;
}

}  // namespace

ToolForm find_tool_form(const ChatTemplate& chat_template, const Tokenizer* tokenizer) {
  ToolForm form;
  form.reasoning = find_reasoning(chat_template.source(), tokenizer);
  if (const auto syntax = find_syntax(chat_template)) {
    form.calls = *syntax;
    form.in_template = true;
  }
  return form;
}

std::span<const std::string_view> call_markers(CallSyntax calls) {
  switch (calls) {
    case CallSyntax::hermes:
    case CallSyntax::xml:
      return kTagged;
    case CallSyntax::llama:
      return kLlama;
    case CallSyntax::mistral_list:
    case CallSyntax::mistral_args:
    case CallSyntax::mistral_name:
      return kMistral;
    case CallSyntax::channels:
      return kChannels;
  }
  return {};
}

std::span<const std::string_view> reasoning_markers(ReasoningSyntax reasoning) {
  switch (reasoning) {
    case ReasoningSyntax::none:
      return {};
    case ReasoningSyntax::think:
      return kThink;
    case ReasoningSyntax::brackets:
      return kBrackets;
    case ReasoningSyntax::channels:
      return kChannels;
  }
  return {};
}

bool begins_in_reasoning(const ToolForm& form, std::string_view prompt) {
  if (form.reasoning != ReasoningSyntax::think && form.reasoning != ReasoningSyntax::brackets) return false;
  return without_trailing_space(prompt).ends_with(reasoning_markers(form.reasoning)[0]);
}

std::string_view reply_bytes(const Tokenizer& tokenizer, TokenId previous, TokenId token,
                             const ToolForm& form) {
  if (token < 0 || token >= tokenizer.vocab().size()) return {};
  const Piece& piece = tokenizer.vocab()[token];
  if (piece.kind != PieceKind::control) return tokenizer.decode(previous, token);
  const auto is_marker = [&](std::span<const std::string_view> markers) {
    return std::ranges::find(markers, piece.bytes) != markers.end();
  };
  if (is_marker(call_markers(form.calls)) || is_marker(reasoning_markers(form.reasoning))) return piece.bytes;
  return {};
}

}  // namespace llamajit
