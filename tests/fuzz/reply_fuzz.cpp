// Replies in pieces: what is shown and what is called is the same however the reply is cut.
#include <array>

#include "runtime/chat/reply_parser.h"
#include "runtime/generate/reply_stream.h"
#include "tests/fuzz/fuzz.h"

namespace llamajit::fuzz {
namespace {

using Kind = ReplyEvent::Kind;

// Pieces of one kind together.
std::string written(const std::vector<ReplyEvent>& events) {
  std::string text;
  Kind last = Kind::call_end;
  for (const ReplyEvent& event : events) {
    const bool goes_on = event.kind == last && event.kind != Kind::call_begin && event.kind != Kind::call_end;
    if (!goes_on) text += std::string(1, '\0') + static_cast<char>('0' + static_cast<int>(event.kind));
    text += event.text;
    if (event.incomplete) text += '!';
    last = event.kind;
  }
  return text;
}

template <class Push>
void in_pieces(std::string_view reply, std::size_t piece, const Push& push) {
  for (std::size_t at = 0; at < reply.size(); at += piece) push(reply.substr(at, piece));
}

std::string parsed(const ReplyParserOptions& options, const std::vector<std::string>& pieces) {
  ReplyParser parser(options);
  std::vector<ReplyEvent> events;
  const auto add = [&](const std::vector<ReplyEvent>& more) {
    events.insert(events.end(), more.begin(), more.end());
  };
  for (const std::string& piece : pieces) add(parser.push(piece));
  add(parser.finish());
  return written(events);
}

void check(std::string_view reply, const std::vector<std::string>& stops, const ReplyParserOptions& options,
           std::size_t piece) {
  std::string shown, parts;
  std::string expected;
  for (const std::size_t size : {reply.size() + 1, std::size_t{1}, piece}) {
    ReplyStream stream(stops);
    std::vector<std::string> pieces;
    in_pieces(reply, size, [&](std::string_view bytes) { pieces.push_back(stream.push(bytes)); });
    pieces.push_back(stream.finish());
    std::string all;
    for (const std::string& text : pieces) all += text;
    const std::string events = parsed(options, pieces);
    if (size > reply.size()) {
      shown = all;
      expected = events;
      for (const std::string& stop : stops)
        expect(stop.empty() || all.find(stop) == std::string::npos, "a stop was shown");
    }
    expect(all == shown, "what is shown depends on how the reply is cut");
    expect(events == expected, "what is called depends on how the reply is cut");
  }
}

}  // namespace

void run(std::string_view input) {
  Recipe recipe(input);
  ReplyParserOptions options;
  options.form.calls = static_cast<CallSyntax>(recipe.pick(7));
  options.form.reasoning = static_cast<ReasoningSyntax>(recipe.pick(4));
  const std::uint8_t flags = recipe.number<std::uint8_t>();
  options.in_reasoning = (flags & 1) != 0;
  if ((flags & 2) != 0) {
    options.tools = {
        {"add", R"({"type": "object", "properties": {"a": {"type": "integer"}, "s": {"type": "string"},
        "o": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}}})"},
        {"now", ""}};
  }
  const std::size_t piece = 1 + recipe.pick(16);
  const std::vector<std::string> stops{std::string(recipe.text()), std::string(recipe.text())};
  check(recipe.rest(), stops, options, piece);
}

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  static constexpr std::array<std::string_view, 11> kReplies = {
      "<think>\nHm.\n</think>\n\nSure.\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": "
      "1}}\n</tool_call>",
      "<tool_call>\n<function=add>\n<parameter=a>\n1\n</parameter>\n<parameter=s>\nx\n</parameter>\n</"
      "function>\n</tool_call>",
      "<|python_tag|>{\"name\": \"add\", \"parameters\": {\"a\": 1}}; {\"name\": \"now\", \"parameters\": "
      "{}}",
      "{\"name\": \"add\", \"parameters\": {\"a\": \"\\u00e9\"}}",
      "Well.[TOOL_CALLS][{\"name\": \"add\", \"arguments\": {\"a\": 1}}, {\"name\": \"now\", \"arguments\": "
      "{}}]",
      "[THINK]no[/THINK][TOOL_CALLS]add[CALL_ID]abc[ARGS]{\"a\": 1}[TOOL_CALLS]now[ARGS]{}",
      "[TOOL_CALLS]add{\"a\": [1, {\"b\": null}]}",
      "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.add "
      "<|constrain|>json<|message|>{\"a\": 1}<|call|>",
      "<|channel|>final<|message|>Hello \xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9 "
      "\xE1\x84\x80\xE1\x85\xA1<|return|>",
      "plain text\xFF\xC3 with User: behind",
      "<tool_call>{\"name\": \"add\", \"arguments\": ",
  };
  for (std::uint8_t i = 0; i < kReplies.size(); ++i) {
    for (const char flags : {'\2', '\3'}) {
      const char syntax = static_cast<char>(i % 7), reasoning = static_cast<char>(i % 4);
      all.push_back(std::string{syntax, reasoning, flags, '\4'} +
                    joined({"User:", "", std::string(kReplies[i])}));
    }
  }
  return all;
}

}  // namespace llamajit::fuzz
