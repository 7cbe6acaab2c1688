#include "tools/serve/anthropic_format.h"

#include <algorithm>

#include <fmt/format.h>

#include "tools/serve/replies.h"

namespace llamajit::serve {
namespace {

// Clients keep no thought without one. Nobody looks into it here.
constexpr const char* kSignature = "unsigned";

Json thinking_block(const std::string& text, const char* signature) {
  return {{"type", "thinking"}, {"thinking", text}, {"signature", signature}};
}

Json text_block(const std::string& text) {
  return {{"type", "text"}, {"text", text}};
}

Json call_block(const ToolPiece& call, Json input) {
  return {{"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", std::move(input)}};
}

// What was read anew, and what was at hand, are told apart.
Json usage_json(int prompt, int cached, int generated) {
  return {{"input_tokens", prompt - cached},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", cached},
          {"output_tokens", generated}};
}

}  // namespace

Json AnthropicFormat::message(Json content) const {
  return {{"id", options_.id},
          {"type", "message"},
          {"role", "assistant"},
          {"model", options_.model},
          {"content", std::move(content)},
          {"stop_reason", nullptr},
          {"stop_sequence", nullptr},
          {"usage", usage_json(prompt_tokens_, 0, 0)}};
}

Json AnthropicFormat::delta(const Ending& ending) const {
  const bool by_own_stop = std::ranges::count(options_.stops, ending.stop) > 0;
  const char* const reason = ending.reason == Finish::length ? "max_tokens"
                             : ending.calls_tools            ? "tool_use"
                             : by_own_stop                   ? "stop_sequence"
                                                             : "end_turn";
  return {{"stop_reason", reason}, {"stop_sequence", by_own_stop ? Json(ending.stop) : Json()}};
}

Json AnthropicFormat::whole(std::span<const Choice> choices) {
  const auto& [whole, ending] = choices.front();
  Json content = Json::array();
  if (!whole.reasoning.empty()) content.push_back(thinking_block(whole.reasoning, kSignature));
  if (!whole.content.empty()) content.push_back(text_block(whole.content));
  for (const ToolPiece& call : whole.tools) {
    // A call that was cut off has no input that could be sent: what is left of it would be called.
    Json input = Json::parse(call.arguments, nullptr, false);
    if (input.is_object()) content.push_back(call_block(call, std::move(input)));
  }
  Json whole_message = message(std::move(content));
  whole_message.update(delta(ending));
  const GenerationCounts& counts = ending.counts;
  whole_message["usage"] = usage_json(counts.prompt_tokens, counts.cached_tokens, counts.generated_tokens);
  return whole_message;
}

HttpReply AnthropicFormat::failure(const std::string& message) const {
  return anthropic_error_reply(ApiError(500, message));
}

// --- as a stream

void AnthropicFormat::event(std::string_view type, const Json& members) {
  Json data = {{"type", type}};
  data.update(members);
  events_ += fmt::format("event: {}\ndata: {}\n\n", type, text_of(data));
}

void AnthropicFormat::block_delta(Json delta) {
  event("content_block_delta", {{"index", block_}, {"delta", std::move(delta)}});
}

void AnthropicFormat::open(Kind kind, const Json& block) {
  close();
  kind_ = kind;
  event("content_block_start", {{"index", block_}, {"content_block", block}});
}

void AnthropicFormat::close() {
  if (kind_ == Kind::none) return;
  if (kind_ == Kind::thinking) block_delta({{"type", "signature_delta"}, {"signature", kSignature}});
  event("content_block_stop", {{"index", block_++}});
  kind_ = Kind::none;
}

void AnthropicFormat::write(Kind kind, const std::string& text) {
  if (text.empty()) return;
  const bool thinks = kind == Kind::thinking;
  if (kind_ != kind) open(kind, thinks ? thinking_block("", "") : text_block(""));
  const char* const member = thinks ? "thinking" : "text";
  block_delta({{"type", fmt::format("{}_delta", member)}, {member, text}});
}

void AnthropicFormat::write_call(const ToolPiece& piece) {
  if (kind_ != Kind::call || piece.index != call_) {
    open(Kind::call, call_block(piece, Json::object()));
    call_ = piece.index;
  }
  if (!piece.arguments.empty()) {
    block_delta({{"type", "input_json_delta"}, {"partial_json", piece.arguments}});
  }
}

std::string AnthropicFormat::begin() {
  event("message_start", {{"message", message(Json::array())}});
  return take_events();
}

std::string AnthropicFormat::piece(std::size_t, const Piece& piece) {
  write(Kind::thinking, piece.reasoning);
  write(Kind::text, piece.content);
  for (const ToolPiece& tool : piece.tools) write_call(tool);
  return take_events();
}

std::string AnthropicFormat::ending(std::size_t, const Ending& ending) {
  close();
  const GenerationCounts& counts = ending.counts;
  event("message_delta",
        {{"delta", delta(ending)},
         {"usage", usage_json(counts.prompt_tokens, counts.cached_tokens, counts.generated_tokens)}});
  event("message_stop", Json::object());
  return take_events();
}

std::string AnthropicFormat::fault(const std::string& message) {
  event("error", anthropic_error(500, message));
  return take_events();
}

std::string AnthropicFormat::heartbeat() const {
  return "event: ping\ndata: {\"type\":\"ping\"}\n\n";
}

}  // namespace llamajit::serve
