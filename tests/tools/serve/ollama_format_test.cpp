// Lines of /api/chat and /api/generate, of pieces that no small model writes: thoughts, calls of tools.
#include "tools/serve/ollama_format.h"

#include <sstream>

#include <gmock/gmock.h>

#include "tests/tools/serve/pieces.h"

namespace llamajit::serve::ollama_format_test {
namespace {

using pieces::called;
using pieces::said;
using pieces::thought;
using ::testing::SizeIs;

std::vector<Json> lines_of(const std::string& text) {
  EXPECT_TRUE(text.empty() || text.ends_with('\n'));
  std::vector<Json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(Json::parse(line));
  return lines;
}

Ending ended(Finish reason) {
  Ending ending{.reason = reason, .calls_tools = false, .counts = {}};
  ending.counts = {.prompt_tokens = 12,
                   .cached_tokens = 4,
                   .generated_tokens = 7,
                   .waiting_seconds = 0.5,
                   .prompt_seconds = 1,
                   .generation_seconds = 2};
  return ending;
}

// Clients leave out lines without these.
void expect_message_line(const Json& line) {
  EXPECT_EQ(line.at("model"), "story");
  EXPECT_TRUE(line.at("created_at").is_string());
  EXPECT_TRUE(line.at("done").is_boolean());
  EXPECT_EQ(line.at("message").at("role"), "assistant");
  EXPECT_TRUE(line.at("message").at("content").is_string());
}

TEST(Rfc3339, HasAFraction) {
  using namespace std::chrono;
  EXPECT_EQ(rfc3339(system_clock::time_point(milliseconds(1709210096789))), "2024-02-29T12:34:56.789000000Z");
  EXPECT_EQ(rfc3339(system_clock::time_point()), "1970-01-01T00:00:00.000000000Z");
}

TEST(OllamaFormat, BeginsWithAnEmptyLineAndBeatsWithOne) {
  OllamaFormat format({.model = "story"});
  for (const std::string& text : {format.begin(), format.heartbeat()}) {
    const std::vector<Json> lines = lines_of(text);
    ASSERT_THAT(lines, SizeIs(1));
    expect_message_line(lines.front());
    EXPECT_EQ(lines.front()["message"]["content"], "");
    EXPECT_EQ(lines.front()["done"], false);
  }
}

TEST(OllamaFormat, EndsWithCountsAndNanoseconds) {
  for (const auto& [reason, name] : {std::pair{Finish::stop, "stop"}, std::pair{Finish::length, "length"}}) {
    OllamaFormat format({.model = "story"});
    const std::vector<Json> lines = lines_of(format.ending(0, ended(reason)) + format.end());
    ASSERT_THAT(lines, SizeIs(1));
    const Json& line = lines.front();
    expect_message_line(line);
    EXPECT_EQ(line["message"]["content"], "");
    EXPECT_EQ(line["done"], true);
    EXPECT_EQ(line["done_reason"], name);
    EXPECT_EQ(line["total_duration"], 3'500'000'000);
    EXPECT_EQ(line["load_duration"], 500'000'000);
    EXPECT_EQ(line["prompt_eval_count"], 12);
    EXPECT_EQ(line["prompt_eval_duration"], 1'000'000'000);
    EXPECT_EQ(line["eval_count"], 7);
    EXPECT_EQ(line["eval_duration"], 2'000'000'000);
  }
}

TEST(OllamaFormat, ShowsThoughtsUnlessTheyAreNotWanted) {
  OllamaFormat shows({.model = "story"});
  const std::vector<Json> lines = lines_of(shows.piece(0, thought("Hm.")) + shows.piece(0, said("Yes.")));
  ASSERT_THAT(lines, SizeIs(2));
  expect_message_line(lines[0]);
  EXPECT_EQ(lines[0]["message"]["thinking"], "Hm.");
  EXPECT_EQ(lines[0]["message"]["content"], "");
  EXPECT_FALSE(lines[1]["message"].contains("thinking"));
  EXPECT_EQ(lines[1]["message"]["content"], "Yes.");

  OllamaFormat hides({.model = "story", .chat = true, .shows_thinking = false});
  EXPECT_EQ(hides.piece(0, thought("Hm.")), "");
  Choice choice{thought("Hm."), ended(Finish::stop)};
  EXPECT_FALSE(hides.whole({&choice, 1})["message"].contains("thinking"));
  EXPECT_EQ(shows.whole({&choice, 1})["message"]["thinking"], "Hm.");
}

TEST(OllamaFormat, SendsCallsAsAWholeWithObjects) {
  OllamaFormat format({.model = "story"});
  EXPECT_EQ(format.piece(0, called(0, "add", "")), "");
  EXPECT_EQ(format.piece(0, called(0, "", R"({"a": 1,)")), "");
  EXPECT_EQ(format.piece(0, called(0, "", R"( "b": [2]})")), "");
  const std::vector<Json> first = lines_of(format.piece(0, called(1, "now", "{}")));
  const std::vector<Json> second = lines_of(format.ending(0, ended(Finish::stop)));
  ASSERT_THAT(first, SizeIs(1));
  ASSERT_THAT(second, SizeIs(2));
  expect_message_line(first[0]);
  expect_message_line(second[0]);
  const Json add = first[0]["message"]["tool_calls"][0], now = second[0]["message"]["tool_calls"][0];
  EXPECT_EQ(add["function"]["name"], "add");
  EXPECT_EQ(add["function"]["arguments"], Json::parse(R"({"a": 1, "b": [2]})"));
  EXPECT_EQ(add["function"]["index"], 0);
  EXPECT_EQ(add["id"], "call_add");
  EXPECT_EQ(now["function"]["name"], "now");
  EXPECT_EQ(now["function"]["arguments"], Json::object());
  EXPECT_EQ(now["function"]["index"], 1);
  EXPECT_EQ(second[1]["done_reason"], "stop");
}

TEST(OllamaFormat, ACallThatIsCutBeforeItsArgumentsIsNone) {
  OllamaFormat format({.model = "story"});
  const Choice choice{called(0, "add", ""), ended(Finish::length)};
  EXPECT_FALSE(format.whole({&choice, 1})["message"].contains("tool_calls"));
  const std::vector<Json> lines =
      lines_of(format.piece(0, called(0, "add", "")) + format.ending(0, ended(Finish::length)));
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_EQ(lines[0]["done_reason"], "length");
}

TEST(OllamaFormat, ContentBehindACallComesBehindIt) {
  OllamaFormat format({.model = "story"});
  format.piece(0, called(0, "now", "{}"));
  const std::vector<Json> lines = lines_of(format.piece(0, said("There.")));
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_TRUE(lines[0]["message"].contains("tool_calls"));
  EXPECT_EQ(lines[1]["message"]["content"], "There.");
}

// Half of a call is none: it would be run with arguments that nobody meant. Nor does a deep one take the stack.
TEST(OllamaFormat, LeavesOutCallsThatAreCutOff) {
  for (const std::string& arguments :
       {std::string(R"({"a": "x)"), std::string("[1]"), std::string(100000, '[')}) {
    OllamaFormat format({.model = "story"});
    format.piece(0, called(0, "add", arguments));
    const std::vector<Json> lines = lines_of(format.ending(0, ended(Finish::length)));
    ASSERT_THAT(lines, SizeIs(1));
    EXPECT_EQ(lines[0]["done_reason"], "length");
    Choice choice{called(0, "add", arguments), ended(Finish::length)};
    EXPECT_FALSE(format.whole({&choice, 1})["message"].contains("tool_calls"));
  }
}

TEST(OllamaFormat, GeneratesResponses) {
  OllamaFormat format({.model = "story", .chat = false});
  const Json line = lines_of(format.piece(0, said("Once"))).front();
  EXPECT_EQ(line["response"], "Once");
  EXPECT_FALSE(line.contains("message"));
  EXPECT_EQ(lines_of(format.ending(0, ended(Finish::stop))).front()["response"], "");
  const Json load = format.load();
  EXPECT_EQ(load["response"], "");
  EXPECT_EQ(load["done"], true);
  EXPECT_EQ(load["done_reason"], "load");
}

TEST(OllamaFormat, TellsOfFaultsAsAText) {
  OllamaFormat format({.model = "story"});
  EXPECT_EQ(format.fault("broken"), "{\"error\":\"broken\"}\n");
  const HttpReply reply = format.failure("broken");
  EXPECT_EQ(reply.status, 500);
  EXPECT_EQ(reply.body, R"({"error":"broken"})");
}

}  // namespace
}  // namespace llamajit::serve::ollama_format_test
