#include "tools/serve/openai_format.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "tools/serve/api_error.h"
#include "tools/serve/logprobs_json.h"
#include "tools/serve/replies.h"

namespace llamajit::serve {
namespace {

Json chat_logprobs(const Piece& piece) {
  if (piece.logprobs.empty()) return nullptr;
  return {{"content", logprobs_json(piece.logprobs)}};
}

bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

std::size_t begun_characters(std::string_view bytes) {
  return static_cast<std::size_t>(std::ranges::count_if(bytes, begins_character));
}

// The older form: lists side by side. `offset` is how many characters of the text come before, and then of those behind
// the piece's tokens.
Json completion_logprobs(const Piece& piece, std::size_t& offset) {
  if (piece.logprobs.empty()) return nullptr;
  Json tokens = Json::array(), logprobs = Json::array(), tops = Json::array(), offsets = Json::array();
  for (const TokenLogprob& token : piece.logprobs) {
    tokens.push_back(token.chosen.bytes);
    logprobs.push_back(token.chosen.logprob);
    Json top = Json::object();
    for (const LikelyText& likely : token.top) top[likely.bytes] = likely.logprob;
    tops.push_back(std::move(top));
    // A token that goes on with a character stands where the one before it began that.
    const bool goes_on =
        offset > 0 && !token.chosen.bytes.empty() && !begins_character(token.chosen.bytes[0]);
    offsets.push_back(goes_on ? offset - 1 : offset);
    offset += begun_characters(token.chosen.bytes);
  }
  return {{"tokens", std::move(tokens)},
          {"token_logprobs", std::move(logprobs)},
          {"top_logprobs", std::move(tops)},
          {"text_offset", std::move(offsets)}};
}

Json tool_call_json(const ToolPiece& tool) {
  return {{"id", tool.id},
          {"type", "function"},
          {"function", {{"name", tool.name}, {"arguments", tool.arguments}}}};
}

Json tool_delta(const ToolPiece& tool) {
  Json delta = {{"index", tool.index}};
  Json function = Json::object();
  if (!tool.id.empty()) {
    delta["id"] = tool.id;
    delta["type"] = "function";
    function["name"] = tool.name;
  }
  function["arguments"] = tool.arguments;
  delta["function"] = std::move(function);
  return delta;
}

std::string event(const std::string& data) {
  return "data: " + data + "\n\n";
}

}  // namespace

OpenAiFormat::OpenAiFormat(ReplyHeader header, OpenAiOptions options, std::string object,
                           std::string chunk_object)
    : header_(std::move(header)),
      options_(options),
      object_(std::move(object)),
      chunk_object_(std::move(chunk_object)) {
  chunk_begin_ = text_of(envelope(chunk_object_));
  chunk_begin_.pop_back();
  chunk_begin_ += R"(,"choices":[{"index":)";
}

Json OpenAiFormat::envelope(const std::string& object) const {
  return {{"id", header_.id},
          {"object", object},
          {"created", header_.created},
          {"model", header_.model},
          {"system_fingerprint", header_.fingerprint}};
}

std::string OpenAiFormat::chunk(std::size_t index, const std::string& members, const char* reason) const {
  const std::string quoted_reason = reason == nullptr ? "null" : json_string(reason);
  return event(fmt::format("{}{},{},\"finish_reason\":{}}}]}}", chunk_begin_, index, members, quoted_reason));
}

Json OpenAiFormat::whole(std::span<const Choice> choices) {
  Json answer = envelope(object_);
  answer["choices"] = Json::array();
  for (std::size_t i = 0; i < choices.size(); ++i) {
    usage_.add(choices[i].ending.counts, i % options_.per_prompt == 0);
    Json choice = {{"index", i}};
    choice.update(choice_body(i, choices[i]));
    choice["finish_reason"] = finish_reason(choices[i].ending);
    answer["choices"].push_back(std::move(choice));
  }
  answer["usage"] = usage_.json();
  answer["seed"] = header_.seed;
  answer["timings"] = timings(choices.front().ending.counts);
  return answer;
}

std::string OpenAiFormat::ending(std::size_t choice, const Ending& ending) {
  usage_.add(ending.counts, choice % options_.per_prompt == 0);
  Json chunk = envelope(chunk_object_);
  Json last = {{"index", choice}};
  last.update(last_chunk_body());
  last["finish_reason"] = finish_reason(ending);
  chunk["choices"] = Json::array({std::move(last)});
  chunk["seed"] = header_.seed;
  chunk["timings"] = timings(ending.counts);
  return event(text_of(chunk));
}

std::string OpenAiFormat::end() {
  std::string events;
  if (options_.include_usage) {
    Json chunk = envelope(chunk_object_);
    chunk["choices"] = Json::array();
    chunk["usage"] = usage_.json();
    events = event(text_of(chunk));
  }
  return events + event("[DONE]");
}

std::string OpenAiFormat::fault(const std::string& message) {
  return event(error_reply(ApiError(500, message)).body);
}

// --- chat

ChatFormat::ChatFormat(ReplyHeader header, OpenAiOptions options, std::size_t choices)
    : OpenAiFormat(std::move(header), options, "chat.completion", "chat.completion.chunk"),
      choices_(choices) {}

std::string ChatFormat::begin() {
  std::string events;
  for (std::size_t i = 0; i < choices_; ++i) {
    events += chunk(i, R"("delta":{"role":"assistant","content":""},"logprobs":null)", nullptr);
  }
  return events;
}

std::string ChatFormat::piece(std::size_t choice, const Piece& piece) {
  const bool plain = piece.reasoning.empty() && piece.tools.empty() && piece.logprobs.empty();
  if (plain) {  // by far the most
    return chunk(choice,
                 fmt::format(R"("delta":{{"content":{}}},"logprobs":null)", json_string(piece.content)),
                 nullptr);
  }
  Json delta = Json::object();
  if (!piece.reasoning.empty()) delta["reasoning_content"] = piece.reasoning;
  if (!piece.content.empty() || !piece.logprobs.empty()) delta["content"] = piece.content;
  std::string events;
  if (!delta.empty()) {
    events = chunk(choice,
                   fmt::format(R"("delta":{},"logprobs":{})", text_of(delta), text_of(chat_logprobs(piece))),
                   nullptr);
  }
  // One call in each, for some clients read no more of a list (findings/llamaindex-parallel-calls.sh).
  for (const ToolPiece& tool : piece.tools) {
    const Json call = {{"tool_calls", Json::array({tool_delta(tool)})}};
    events += chunk(choice, fmt::format(R"("delta":{},"logprobs":null)", text_of(call)), nullptr);
  }
  return events;
}

Json ChatFormat::choice_body(std::size_t /*index*/, const Choice& choice) const {
  const Piece& whole = choice.whole;
  Json message = {{"role", "assistant"}};
  message["content"] = whole.content.empty() && !whole.tools.empty() ? Json() : Json(whole.content);
  message["refusal"] = nullptr;
  if (!whole.reasoning.empty()) message["reasoning_content"] = whole.reasoning;
  for (const ToolPiece& tool : whole.tools) message["tool_calls"].push_back(tool_call_json(tool));
  return {{"message", std::move(message)}, {"logprobs", chat_logprobs(whole)}};
}

// --- completions

CompletionFormat::CompletionFormat(ReplyHeader header, OpenAiOptions options,
                                   std::span<const std::string> echoes)
    : OpenAiFormat(std::move(header), options, "text_completion", "text_completion") {
  for (const std::string& echo : echoes) next_offsets_.push_back(begun_characters(echo));
}

std::string CompletionFormat::piece(std::size_t choice, const Piece& piece) {
  const std::string logprobs = text_of(completion_logprobs(piece, next_offsets_[choice]));
  return chunk(choice, fmt::format(R"("text":{},"logprobs":{})", json_string(piece.content), logprobs),
               nullptr);
}

Json CompletionFormat::choice_body(std::size_t index, const Choice& choice) const {
  std::size_t offset = next_offsets_[index];
  return {{"text", choice.whole.content}, {"logprobs", completion_logprobs(choice.whole, offset)}};
}

}  // namespace llamajit::serve
