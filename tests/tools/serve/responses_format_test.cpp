// Events of /v1/responses, of pieces that no small model writes: thoughts, calls of tools, faults.
#include "tools/serve/responses_format.h"

#include <gmock/gmock.h>

#include "tests/tools/serve/pieces.h"

namespace llamajit::serve::responses_format_test {
namespace {

using pieces::events_of;
using ::testing::ElementsAre;
using ::testing::SizeIs;

// In their order, which + does not have.
std::string joined(std::initializer_list<std::string> texts) {
  std::string all;
  for (const std::string& text : texts) all += text;
  return all;
}

std::vector<std::string> names(const std::vector<Json>& events) {
  std::vector<std::string> names;
  names.reserve(events.size());
  for (const Json& event : events) {
    const std::string type = event["type"];
    names.push_back(type.substr(type.find('.') + 1));
  }
  return names;
}

class ResponsesFormatTest : public ::testing::Test {
 protected:
  ResponsesFormatTest()
      : format_(
            {.response = {{"id", "resp_1"}, {"object", "response"}, {"created_at", 1}, {"model", "story"}},
             .count_tokens = [](std::string_view text) { return static_cast<int>(text.size()); },
             .keep = [this](const Json& item) { kept_.push_back(item); }}) {}

  static Piece all() {
    Piece piece;
    piece.reasoning = "Hm.";
    piece.content = "Yes.";
    piece.tools = {{0, "call_a", "add", R"({"a":1})"}, {1, "call_n", "now", "{}"}};
    return piece;
  }
  static Ending ended(Finish reason) {
    return {.reason = reason,
            .calls_tools = false,
            .counts = {.prompt_tokens = 12, .cached_tokens = 4, .generated_tokens = 7}};
  }

  ResponsesFormat format_;
  std::vector<Json> kept_;
};

TEST_F(ResponsesFormatTest, EventsComeInOrder) {
  Piece more;
  more.reasoning = "Hm.";
  const std::vector<Json> events =
      events_of(joined({format_.begin(), format_.piece(0, more), format_.piece(0, all()),
                        format_.ending(0, ended(Finish::stop)), format_.end()}));
  EXPECT_THAT(
      names(events),
      ElementsAre("created", "in_progress",
                  // the thought
                  "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
                  "reasoning_summary_text.delta", "reasoning_summary_text.done",
                  "reasoning_summary_part.done", "output_item.done",
                  // the message
                  "output_item.added", "content_part.added", "output_text.delta", "output_text.done",
                  "content_part.done", "output_item.done",
                  // the calls
                  "output_item.added", "function_call_arguments.delta", "function_call_arguments.done",
                  "output_item.done", "output_item.added", "function_call_arguments.delta",
                  "function_call_arguments.done", "output_item.done", "completed"));
  for (std::size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i]["sequence_number"], i);
}

TEST_F(ResponsesFormatTest, EventsOfAnItemNameIt) {
  const std::string text =
      joined({format_.begin(), format_.piece(0, all()), format_.ending(0, ended(Finish::stop))});
  std::string id;
  std::size_t index = 0, items = 0;
  const std::vector<Json> events = events_of(text);
  for (const Json& data : events) {
    const Json& name = data["type"];
    if (name == "response.output_item.added") {
      id = data.at("item").at("id");
      index = data.at("output_index");
      EXPECT_EQ(index, items++);
      EXPECT_EQ(data["item"]["status"], "in_progress");
    } else if (name == "response.output_item.done") {
      EXPECT_EQ(data.at("item").at("id"), id);
      EXPECT_EQ(data.at("output_index"), index);
      EXPECT_EQ(data["item"]["status"], "completed");
    } else if (data.contains("item_id")) {
      EXPECT_EQ(data.at("item_id"), id);
      EXPECT_EQ(data.at("output_index"), index);
    }
  }
  EXPECT_EQ(items, 4);
  const Json output = events.back()["response"]["output"];
  ASSERT_EQ(output.size(), 4);
  EXPECT_EQ(output[3]["id"], id);
  EXPECT_EQ(output[3]["arguments"], "{}");
}

// "{}" would be a call without arguments, which somebody might run.
TEST_F(ResponsesFormatTest, ACallThatIsCutHasWhatThereIsOfItsArguments) {
  Piece piece;
  piece.tools = {{0, "call_a", "add", ""}};
  const Choice choice{piece, ended(Finish::length)};
  const Json whole = ResponsesFormat(format_).whole({&choice, 1});
  const std::vector<Json> events =
      events_of(joined({format_.begin(), format_.piece(0, piece), format_.ending(0, ended(Finish::length))}));
  for (const Json& response : {whole, events.back()["response"]}) {
    EXPECT_EQ(response["output"][0]["arguments"], "");
    EXPECT_EQ(response["output"][0]["status"], "incomplete");
    EXPECT_EQ(response["status"], "incomplete");
  }
}

TEST_F(ResponsesFormatTest, AnswersAreTheSameAsAWholeAndAsAStream) {
  const Choice choice{all(), ended(Finish::stop)};
  Json whole = ResponsesFormat(format_).whole({&choice, 1});
  const std::string text =
      joined({format_.begin(), format_.piece(0, all()), format_.ending(0, ended(Finish::stop))});
  Json streamed = events_of(text).back()["response"];
  for (Json* const response : {&whole, &streamed}) {
    for (Json& item : (*response)["output"]) item["id"] = "";
  }
  EXPECT_EQ(whole, streamed);
  EXPECT_EQ(whole["status"], "completed");
  EXPECT_EQ(whole["id"], "resp_1");
  EXPECT_EQ(whole["output"][0]["summary"][0]["text"], "Hm.");
  EXPECT_EQ(whole["output"][1]["content"][0]["text"], "Yes.");
  EXPECT_EQ(whole["output"][1]["content"][0]["annotations"], Json::array());
  EXPECT_EQ(whole["output"][2]["call_id"], "call_a");
  EXPECT_EQ(whole["output"][2]["arguments"], R"({"a":1})");
  EXPECT_EQ(whole["usage"], Json::parse(R"({"input_tokens": 12, "input_tokens_details": {"cached_tokens": 4},
      "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 19})"));
}

TEST_F(ResponsesFormatTest, WhatIsCutOffIsIncomplete) {
  Piece piece;
  piece.content = "Ye";
  const std::string text =
      joined({format_.begin(), format_.piece(0, piece), format_.ending(0, ended(Finish::length))});
  const Json last = events_of(text).back();
  EXPECT_EQ(last["type"], "response.incomplete");
  EXPECT_EQ(last["response"]["status"], "incomplete");
  EXPECT_EQ(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(last["response"]["output"][0]["status"], "incomplete");
}

TEST_F(ResponsesFormatTest, AnAnswerWithoutAnythingIsAnEmptyMessage) {
  const std::string text = joined({format_.begin(), format_.ending(0, ended(Finish::stop))});
  const Json output = events_of(text).back()["response"]["output"];
  ASSERT_EQ(output.size(), 1);
  EXPECT_EQ(output[0]["type"], "message");
  EXPECT_EQ(output[0]["content"][0]["text"], "");
}

TEST_F(ResponsesFormatTest, ItemsAreKeptAsTheyAreAnswered) {
  const std::string text =
      joined({format_.begin(), format_.piece(0, all()), format_.ending(0, ended(Finish::stop))});
  EXPECT_EQ(Json(kept_), events_of(text).back()["response"]["output"]);
}

TEST_F(ResponsesFormatTest, FaultsAreTold) {
  const std::string text = joined({format_.begin(), format_.fault("broken")});
  const std::vector<Json> events = events_of(text);
  ASSERT_THAT(events, SizeIs(4));
  EXPECT_EQ(events[2]["type"], "error");
  EXPECT_EQ(events[2]["message"], "broken");
  EXPECT_EQ(events[2]["error"]["message"], "broken");
  EXPECT_EQ(events[3]["type"], "response.failed");
  EXPECT_EQ(events[3]["response"]["status"], "failed");
  EXPECT_EQ(events[3]["response"]["error"]["message"], "broken");
}

}  // namespace
}  // namespace llamajit::serve::responses_format_test
