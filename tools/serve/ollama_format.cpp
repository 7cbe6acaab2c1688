#include "tools/serve/ollama_format.h"

#include <utility>

#include <fmt/format.h>

#include "tools/serve/logprobs_json.h"

namespace llamajit::serve {
namespace {

std::int64_t to_nanoseconds(double seconds) {
  return static_cast<std::int64_t>(seconds * 1e9);
}

// An object; nothing where the text is none, as that of a call is which was cut off: nobody is to run it.
std::optional<Json> arguments_of(const ToolPiece& call) {
  try {
    return parse_object(call.arguments);
  } catch (const ApiError&) {
    return std::nullopt;
  }
}

void add_call(Json& message, const ToolPiece& call) {
  std::optional<Json> arguments = arguments_of(call);
  if (!arguments) return;
  message["tool_calls"].push_back(
      {{"id", call.id},
       {"function", {{"index", call.index}, {"name", call.name}, {"arguments", *std::move(arguments)}}}});
}

void add_ending(Json& line, const Ending& ending) {
  const GenerationCounts& counts = ending.counts;
  line["done_reason"] = ending.reason == Finish::length ? "length" : "stop";
  line["total_duration"] =
      to_nanoseconds(counts.waiting_seconds + counts.prompt_seconds + counts.generation_seconds);
  line["load_duration"] =
      to_nanoseconds(counts.waiting_seconds);  // Ollama's, too, is the time until work begins
  line["prompt_eval_count"] = counts.prompt_tokens;
  line["prompt_eval_duration"] = to_nanoseconds(counts.prompt_seconds);
  line["eval_count"] = counts.generated_tokens;
  line["eval_duration"] = to_nanoseconds(counts.generation_seconds);
}

std::string text_line(const Json& line) {
  return text_of(line) + '\n';
}

}  // namespace

std::string rfc3339(std::chrono::system_clock::time_point time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss<nanoseconds> clock(duration_cast<nanoseconds>(time - day));
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

Json OllamaFormat::line(const Piece& piece, bool done) const {
  Json line = {{"model", options_.model}, {"created_at", rfc3339(std::chrono::system_clock::now())}};
  Json message = Json::object();
  if (options_.chat) message["role"] = "assistant";
  message[options_.chat ? "content" : "response"] = piece.content;
  if (options_.shows_thinking && !piece.reasoning.empty()) message["thinking"] = piece.reasoning;
  for (const ToolPiece& call : piece.tools) add_call(message, call);
  if (options_.chat) {
    line["message"] = std::move(message);
  } else {
    line.update(message);
  }
  line["done"] = done;
  if (!piece.logprobs.empty()) line["logprobs"] = logprobs_json(piece.logprobs);
  return line;
}

Json OllamaFormat::whole(std::span<const Choice> choices) {
  Json answer = line(choices.front().whole, true);
  add_ending(answer, choices.front().ending);
  return answer;
}

Json OllamaFormat::load() const {
  Json answer = line({}, true);
  answer["done_reason"] = "load";
  return answer;
}

HttpReply OllamaFormat::failure(const std::string& message) const {
  return plain_error_reply(ApiError(500, message));
}

std::string OllamaFormat::heartbeat() const {
  return text_line(line({}, false));
}

// The call that has come so far, which is at its end.
std::string OllamaFormat::finish_call() {
  if (!call_) return {};
  Piece piece;
  piece.tools.push_back(*std::exchange(call_, std::nullopt));
  return arguments_of(piece.tools.front()) ? text_line(line(piece, false)) : "";
}

std::string OllamaFormat::piece(std::size_t, const Piece& piece) {
  std::string lines;
  Piece text;
  text.content = piece.content;
  if (options_.shows_thinking) text.reasoning = piece.reasoning;
  text.logprobs = piece.logprobs;
  if (!text.empty()) lines = finish_call() + text_line(line(text, false));
  for (const ToolPiece& tool : piece.tools) {
    if (call_ && call_->index == tool.index) {
      call_->arguments += tool.arguments;
    } else {
      lines += finish_call();
      call_ = tool;
    }
  }
  return lines;
}

std::string OllamaFormat::ending(std::size_t, const Ending& ending) {
  std::string lines = finish_call();
  Json last = line({}, true);
  add_ending(last, ending);
  return lines + text_line(last);
}

std::string OllamaFormat::fault(const std::string& message) {
  return text_line({{"error", message}});
}

}  // namespace llamajit::serve
