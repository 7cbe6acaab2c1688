// Answers of /v1/messages, of pieces that no small model writes: thoughts, calls of tools, faults.
#include "tools/serve/anthropic_format.h"

#include <gmock/gmock.h>

#include "tests/tools/serve/pieces.h"

namespace llamajit::serve::anthropic_format_test {
namespace {

using pieces::called;
using pieces::events_of;
using pieces::said;
using pieces::thought;
using ::testing::ElementsAre;

// In a line: each event's type, with what a block is, or is made longer by.
std::vector<std::string> told(const std::vector<Json>& events) {
  std::vector<std::string> lines;
  for (const Json& event : events) {
    std::string line = event["type"];
    if (event.contains("index")) line += " " + event["index"].dump();
    if (event.contains("content_block")) line += " " + event["content_block"].value("type", "");
    if (line.starts_with("content_block_delta")) {
      for (const auto& [name, value] : event["delta"].items()) line += " " + value.get<std::string>();
    }
    lines.push_back(line);
  }
  return lines;
}

Ending ended(Finish reason, bool calls_tools = false, const std::string& stop = "") {
  return {.reason = reason,
          .calls_tools = calls_tools,
          .counts = {.prompt_tokens = 12, .cached_tokens = 4, .generated_tokens = 7},
          .stop = stop};
}

AnthropicFormat format() {
  AnthropicFormat made({.id = "msg_1", .model = "story", .stops = {"END"}, .form_members = {}});
  made.set_prompt_tokens(12);
  return made;
}
Json whole(Piece piece, Ending ending) {
  const std::vector<Choice> choices{{std::move(piece), std::move(ending)}};
  return format().whole(choices);
}

TEST(AnthropicFormat, BlocksComeOneAfterTheOther) {
  AnthropicFormat format = anthropic_format_test::format();
  std::string text = format.begin();
  for (const Piece& piece : {thought("H"), thought("m."), said("Yes"), said("."), called(0, "add", ""),
                             called(0, "", R"({"a":)"), called(0, "", "1}"), called(1, "now", "{}")}) {
    text += format.piece(0, piece);
  }
  text += format.ending(0, ended(Finish::stop, true)) + format.end();
  const std::vector<Json> events = events_of(text);
  EXPECT_THAT(
      told(events),
      ElementsAre("message_start",  //
                  "content_block_start 0 thinking", "content_block_delta 0 thinking_delta H",
                  "content_block_delta 0 thinking_delta m.", "content_block_delta 0 signature_delta unsigned",
                  "content_block_stop 0",  //
                  "content_block_start 1 text", "content_block_delta 1 text_delta Yes",
                  "content_block_delta 1 text_delta .", "content_block_stop 1",  //
                  "content_block_start 2 tool_use", "content_block_delta 2 input_json_delta {\"a\":",
                  "content_block_delta 2 input_json_delta 1}", "content_block_stop 2",  //
                  "content_block_start 3 tool_use", "content_block_delta 3 input_json_delta {}",
                  "content_block_stop 3",  //
                  "message_delta", "message_stop"));
  const Json& message = events.front()["message"];
  EXPECT_EQ(message["content"], Json::array());
  EXPECT_EQ(message["usage"]["input_tokens"], 12);
  EXPECT_EQ(events[10]["content_block"],
            Json::parse(R"({"type": "tool_use", "id": "call_add", "name": "add", "input": {}})"));
  const Json& end = events[events.size() - 2];
  EXPECT_EQ(end["delta"], Json::parse(R"({"stop_reason": "tool_use", "stop_sequence": null})"));
  EXPECT_EQ(end["usage"], Json::parse(R"({"input_tokens": 8, "cache_creation_input_tokens": 0,
                                          "cache_read_input_tokens": 4, "output_tokens": 7})"));
}

TEST(AnthropicFormat, AWholeAnswerHasTheSameBlocks) {
  Piece all = said("Yes.");
  all.reasoning = "Hm.";
  all.tools = {{0, "call_add", "add", R"({"a":1})"}, {1, "call_now", "now", "{}"}};
  EXPECT_EQ(whole(all, ended(Finish::stop, true)), Json::parse(R"({
      "id": "msg_1", "type": "message", "role": "assistant", "model": "story",
      "content": [{"type": "thinking", "thinking": "Hm.", "signature": "unsigned"},
                  {"type": "text", "text": "Yes."},
                  {"type": "tool_use", "id": "call_add", "name": "add", "input": {"a": 1}},
                  {"type": "tool_use", "id": "call_now", "name": "now", "input": {}}],
      "stop_reason": "tool_use", "stop_sequence": null,
      "usage": {"input_tokens": 8, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4,
                "output_tokens": 7}})"));
}

TEST(AnthropicFormat, ACallThatWasCutOffIsNone) {
  Piece cut;
  cut.tools = {{0, "call_add", "add", R"({"a":1})"}, {1, "call_now", "now", R"({"zone": "Eu)"}};
  const Json answer = whole(cut, ended(Finish::length, true));
  ASSERT_EQ(answer["content"].size(), 1U);
  EXPECT_EQ(answer["content"][0]["name"], "add");
  EXPECT_EQ(answer["stop_reason"], "max_tokens");
}

TEST(AnthropicFormat, OnlyTheRequestsOwnStopStringsAreTold) {
  EXPECT_EQ(whole(said("a"), ended(Finish::stop, false, "END"))["stop_reason"], "stop_sequence");
  EXPECT_EQ(whole(said("a"), ended(Finish::stop, false, "END"))["stop_sequence"], "END");
  for (const char* other : {"", "<|im_end|>"}) {
    EXPECT_EQ(whole(said("a"), ended(Finish::stop, false, other))["stop_reason"], "end_turn") << other;
    EXPECT_EQ(whole(said("a"), ended(Finish::stop, false, other))["stop_sequence"], nullptr) << other;
  }
}

TEST(AnthropicFormat, FaultsAreEventsAndReplies) {
  AnthropicFormat format = anthropic_format_test::format();
  const Json error =
      Json::parse(R"({"type": "error", "error": {"type": "api_error", "message": "out of memory"}})");
  EXPECT_THAT(events_of(format.fault("out of memory")), ElementsAre(error));
  EXPECT_EQ(format.failure("out of memory").status, 500);
  EXPECT_EQ(Json::parse(format.failure("out of memory").body), error);
  EXPECT_THAT(events_of(format.heartbeat()), ElementsAre(Json{{"type", "ping"}}));
}

}  // namespace
}  // namespace llamajit::serve::anthropic_format_test
