#include "tools/serve/responses_format.h"

#include <utility>

#include <fmt/format.h>

#include "tools/serve/reply_header.h"

namespace llamajit::serve {
namespace {

Json text_part(const std::string& text) {
  return {
      {"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", Json::array()}};
}

Json summary_part(const std::string& text) {
  return {{"type", "summary_text"}, {"text", text}};
}

Json message_item(const std::string& id, Json content, const char* status) {
  return {{"id", id},
          {"type", "message"},
          {"status", status},
          {"role", "assistant"},
          {"content", std::move(content)}};
}

// The thought is its own summary: clients show that, and pass over others' parts of a content.
Json reasoning_item(const std::string& id, Json summary, const char* status) {
  return {{"id", id}, {"type", "reasoning"}, {"status", status}, {"summary", std::move(summary)}};
}

Json call_item(const std::string& id, const ToolPiece& call, const char* status) {
  return {{"id", id},           {"type", "function_call"}, {"status", status},
          {"call_id", call.id}, {"name", call.name},       {"arguments", call.arguments}};
}

Json usage_json(const GenerationCounts& counts, int reasoning_tokens) {
  return {{"input_tokens", counts.prompt_tokens},
          {"input_tokens_details", {{"cached_tokens", counts.cached_tokens}}},
          {"output_tokens", counts.generated_tokens},
          {"output_tokens_details", {{"reasoning_tokens", reasoning_tokens}}},
          {"total_tokens", counts.prompt_tokens + counts.generated_tokens}};
}

}  // namespace

Json ResponsesFormat::response(const char* status) const {
  Json response = options_.response;
  response["status"] = status;
  response["error"] = nullptr;
  response["incomplete_details"] = nullptr;
  response["output"] = output_;
  response["usage"] = nullptr;
  return response;
}

void ResponsesFormat::add_output(const Item& item, const char* status) {
  switch (item.kind) {
    case Kind::none:
      return;
    case Kind::reasoning:
      reasoning_tokens_ += options_.count_tokens(item.text);
      output_.push_back(reasoning_item(item.id, Json::array({summary_part(item.text)}), status));
      break;
    case Kind::message:
      output_.push_back(message_item(item.id, Json::array({text_part(item.text)}), status));
      break;
    case Kind::call:
      output_.push_back(call_item(item.id, item.call, status));
      break;
  }
  if (options_.keep) options_.keep(output_.back());
}

Json ResponsesFormat::finished(const Ending& ending) {
  const bool cut = ending.reason == Finish::length;
  Json finished = response(cut ? "incomplete" : "completed");
  if (cut) finished["incomplete_details"] = {{"reason", "max_output_tokens"}};
  finished["usage"] = usage_json(ending.counts, reasoning_tokens_);
  return finished;
}

Json ResponsesFormat::whole(std::span<const Choice> choices) {
  const Piece& whole = choices.front().whole;
  const Ending& ending = choices.front().ending;
  if (!whole.reasoning.empty()) {
    add_output({Kind::reasoning, "rs_" + random_id(), whole.reasoning, {}}, "completed");
  }
  // An answer without anything is an empty message.
  if (!whole.content.empty() || whole.tools.empty()) {
    const bool cut = ending.reason == Finish::length && whole.tools.empty();
    add_output({Kind::message, "msg_" + random_id(), whole.content, {}}, cut ? "incomplete" : "completed");
  }
  for (ToolPiece call : whole.tools) {
    const bool cut = ending.reason == Finish::length && call.index + 1 == std::ssize(whole.tools);
    add_output({Kind::call, "fc_" + random_id(), {}, std::move(call)}, cut ? "incomplete" : "completed");
  }
  return finished(ending);
}

// --- as a stream

void ResponsesFormat::event(std::string_view type, const Json& members) {
  Json data = {{"type", type}, {"sequence_number", sequence_++}};
  data.update(members);
  events_ += fmt::format("event: {}\ndata: {}\n\n", type, text_of(data));
}

// Of the item that is being written, or of its one part.
void ResponsesFormat::part_event(std::string_view type, const Json& members) {
  Json all = {{"item_id", item_.id}, {"output_index", output_.size()}};
  if (item_.kind == Kind::message) all["content_index"] = 0;
  if (item_.kind == Kind::reasoning) all["summary_index"] = 0;
  all.update(members);
  event(type, all);
}

void ResponsesFormat::open() {
  constexpr const char* kStatus = "in_progress";
  const auto add = [&](Json item) {
    event("response.output_item.added", {{"output_index", output_.size()}, {"item", std::move(item)}});
  };
  switch (item_.kind) {
    case Kind::none:
      break;
    case Kind::reasoning:
      add(reasoning_item(item_.id, Json::array(), kStatus));
      part_event("response.reasoning_summary_part.added", {{"part", summary_part("")}});
      break;
    case Kind::message:
      add(message_item(item_.id, Json::array(), kStatus));
      part_event("response.content_part.added", {{"part", text_part("")}});
      break;
    case Kind::call:
      add(call_item(item_.id, item_.call, kStatus));
      break;
  }
}

void ResponsesFormat::close(const char* status) {
  switch (item_.kind) {
    case Kind::none:
      return;
    case Kind::reasoning:
      part_event("response.reasoning_summary_text.done", {{"text", item_.text}});
      part_event("response.reasoning_summary_part.done", {{"part", summary_part(item_.text)}});
      break;
    case Kind::message:
      part_event("response.output_text.done", {{"text", item_.text}, {"logprobs", Json::array()}});
      part_event("response.content_part.done", {{"part", text_part(item_.text)}});
      break;
    case Kind::call:
      part_event("response.function_call_arguments.done",
                 {{"name", item_.call.name}, {"arguments", item_.call.arguments}});
      break;
  }
  const std::size_t index = output_.size();
  add_output(std::exchange(item_, {}), status);
  event("response.output_item.done", {{"output_index", index}, {"item", output_.back()}});
}

void ResponsesFormat::switch_to(Kind kind, const ToolPiece* call) {
  if (item_.kind == kind && (call == nullptr || call->index == item_.call.index)) return;
  close("completed");
  const char* const prefix = kind == Kind::reasoning ? "rs_" : kind == Kind::message ? "msg_" : "fc_";
  item_ = {kind, prefix + random_id(), {}, {}};
  if (call != nullptr) item_.call = {call->index, call->id, call->name, {}};
  open();
}

void ResponsesFormat::write(Kind kind, const std::string& text) {
  if (text.empty()) return;
  switch_to(kind);
  item_.text += text;
  if (kind == Kind::message) {
    part_event("response.output_text.delta", {{"delta", text}, {"logprobs", Json::array()}});
  } else {
    part_event("response.reasoning_summary_text.delta", {{"delta", text}});
  }
}

void ResponsesFormat::write_call(const ToolPiece& piece) {
  switch_to(Kind::call, &piece);
  if (piece.arguments.empty()) return;
  item_.call.arguments += piece.arguments;
  part_event("response.function_call_arguments.delta", {{"delta", piece.arguments}});
}

std::string ResponsesFormat::begin() {
  const Json members = {{"response", response("in_progress")}};
  event("response.created", members);
  event("response.in_progress", members);
  return take_events();
}

std::string ResponsesFormat::piece(std::size_t, const Piece& piece) {
  write(Kind::reasoning, piece.reasoning);
  write(Kind::message, piece.content);
  for (const ToolPiece& tool : piece.tools) write_call(tool);
  return take_events();
}

std::string ResponsesFormat::ending(std::size_t, const Ending& ending) {
  const bool cut = ending.reason == Finish::length;
  if (item_.kind == Kind::none) switch_to(Kind::message);
  close(cut ? "incomplete" : "completed");
  event(cut ? "response.incomplete" : "response.completed", {{"response", finished(ending)}});
  return take_events();
}

// OpenAI's own client looks for the member `error` in any event, AI SDK for this event's message.
std::string ResponsesFormat::fault(const std::string& message) {
  const Json error = {
      {"type", "server_error"}, {"code", "server_error"}, {"message", message}, {"param", nullptr}};
  event("error", {{"code", "server_error"}, {"message", message}, {"param", nullptr}, {"error", error}});
  Json failed = response("failed");
  failed["error"] = {{"code", "server_error"}, {"message", message}};
  event("response.failed", {{"response", std::move(failed)}});
  return take_events();
}

}  // namespace llamajit::serve
