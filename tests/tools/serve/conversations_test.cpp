// Conversations of other APIs, in the form of /v1/chat/completions.
#include <gmock/gmock.h>

#include "tools/serve/api_error.h"
#include "tools/serve/ollama_request.h"
#include "tools/serve/responses_input.h"

namespace llamajit::serve::conversations_test {
namespace {

using ::testing::HasSubstr;

Json of_responses(const std::string& body, const ResponsesItems& items = {}) {
  const Json json = Json::parse(body);
  return responses_conversation(Fields(json), items, "owner");
}
Json of_ollama(const std::string& body) {
  const Json json = Json::parse(body);
  Json conversation = Json::object();
  add_ollama_form(Fields(json), conversation);
  conversation["messages"] = ollama_messages(Fields(json));
  return conversation;
}

template <class Read>
void expect_refused(Read read, const std::string& body, const std::string& path) {
  try {
    read(body);
    ADD_FAILURE() << body << " was taken";
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 400);
    EXPECT_THAT(error.what(), HasSubstr(path + ": expected"));
  }
}

TEST(ResponsesConversation, TextIsAQuestion) {
  EXPECT_EQ(of_responses(R"({"input": "hi", "instructions": "Be kind."})")["messages"],
            Json::parse(R"([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}])"));
}

TEST(ResponsesConversation, ThereIsOneMessageOfTheSystem) {
  EXPECT_EQ(of_responses(R"({"input": [{"role": "developer", "content": "Be short."},
                                       {"role": "user", "content": [{"type": "input_text", "text": "h"},
                                                                    {"type": "input_text", "text": "i"}]}],
                             "instructions": "Be kind."})")["messages"],
            Json::parse(R"([{"role": "system", "content": "Be kind.\n\nBe short."},
                            {"role": "user", "content": "hi"}])"));
}

TEST(ResponsesConversation, WhatTheModelSaidIsOneMessage) {
  EXPECT_EQ(of_responses(R"({"input": [
      {"role": "user", "content": "hi"},
      {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
      {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
      {"type": "function_call", "call_id": "a", "name": "add", "arguments": "{\"a\":1}"},
      {"type": "function_call", "call_id": "b", "name": "now", "arguments": ""},
      {"type": "function_call_output", "call_id": "a", "output": "3"},
      {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "noon"}]}]})")
                ["messages"],
            Json::parse(R"([
      {"role": "user", "content": "hi"},
      {"role": "assistant", "content": "Let me see.", "reasoning_content": "Hm.", "tool_calls": [
          {"id": "a", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}},
          {"id": "b", "type": "function", "function": {"name": "now", "arguments": "{}"}}]},
      {"role": "tool", "tool_call_id": "a", "content": "3"},
      {"role": "tool", "tool_call_id": "b", "content": "noon"}])"));
}

TEST(ResponsesConversation, ItemsThatAreKeptMayBeNamed) {
  ResponsesItems items;
  items.keep("owner", Json::parse(R"({"id": "msg_1", "type": "message", "role": "assistant",
                                      "content": [{"type": "output_text", "text": "Hello!"}]})"));
  items.keep("another",
             Json::parse(R"({"id": "msg_2", "type": "message", "role": "user", "content": "secret"})"));
  EXPECT_EQ(of_responses(R"({"input": [{"type": "item_reference", "id": "msg_1"}]})", items)["messages"],
            Json::parse(R"([{"role": "assistant", "content": "Hello!"}])"));
  expect_refused([&](const std::string& body) { of_responses(body, items); },
                 R"({"input": [{"type": "item_reference", "id": "msg_2"}]})", "input[0].id");
}

TEST(ResponsesConversation, ToolsAndFormsAreThoseOfChats) {
  const Json conversation = of_responses(R"({"input": "hi",
      "tools": [{"type": "function", "name": "add", "description": "Adds.", "parameters": {"type": "object"},
                 "strict": true}],
      "tool_choice": {"type": "function", "name": "add"}, "parallel_tool_calls": false,
      "text": {"format": {"type": "json_schema", "name": "sum", "schema": {"type": "integer"}}},
      "reasoning": {"effort": "low", "summary": "auto"}})");
  EXPECT_EQ(conversation["tools"], Json::parse(R"([{"type": "function", "function": {"name": "add",
      "description": "Adds.", "parameters": {"type": "object"}, "strict": true}}])"));
  EXPECT_EQ(conversation["tool_choice"], Json::parse(R"({"type": "function", "function": {"name": "add"}})"));
  EXPECT_EQ(conversation["parallel_tool_calls"], false);
  EXPECT_EQ(conversation["response_format"], Json::parse(R"({"type": "json_schema",
      "json_schema": {"name": "sum", "schema": {"type": "integer"}}})"));
  EXPECT_EQ(conversation["reasoning_effort"], "low");
  EXPECT_FALSE(
      of_responses(R"({"input": "hi", "text": {"format": {"type": "text"}}})").contains("response_format"));
}

TEST(ResponsesConversation, FaultsNameTheirField) {
  const auto read = [](const std::string& body) { of_responses(body); };
  expect_refused(read, "{}", "input");
  expect_refused(read, R"({"input": 3})", "input");
  expect_refused(read, R"({"input": [3]})", "input[0]");
  expect_refused(read, R"({"input": [{"role": "king", "content": ""}]})", "input[0].role");
  expect_refused(read, R"({"input": [{"type": "web_search_call"}]})", "input[0].type");
  expect_refused(read, R"({"input": [{"type": "function_call", "call_id": "a"}]})", "input[0].name");
  expect_refused(read, R"({"input": [{"type": "function_call_output", "call_id": "a"}]})", "input[0].output");
  expect_refused(read, R"({"input": [{"role": "user", "content": [{"type": "input_image"}]}]})",
                 "input[0].content[0].type");
  expect_refused(read, R"({"input": "hi", "tools": [{"type": "web_search"}]})", "tools[0].type");
  expect_refused(read, R"({"input": "hi", "tool_choice": {"type": "mcp"}})", "tool_choice.type");
  expect_refused(read, R"({"input": "hi", "text": {"format": {"type": "xml"}}})", "text.format.type");
}

TEST(ResponsesItems, ForgetsTheOldest) {
  ResponsesItems items;
  const std::string text(ResponsesItems::kMostBytes / 4, 'x');
  for (int i = 0; i < 6; ++i) items.keep("", {{"id", std::to_string(i)}, {"text", text}});
  EXPECT_FALSE(items.find("", "0"));
  EXPECT_FALSE(items.find("", "2"));
  ASSERT_TRUE(items.find("", "5"));
  EXPECT_EQ(items.find("", "5")->at("text"), text);
  items.keep("", {{"id", "6"}, {"text", std::string(ResponsesItems::kMostBytes, 'x')}});
  EXPECT_FALSE(items.find("", "6"));
}

TEST(OllamaConversation, CallsHaveObjects) {
  EXPECT_EQ(of_ollama(R"({"messages": [
      {"role": "assistant", "content": "", "thinking": "Hm.",
       "tool_calls": [{"function": {"name": "add", "arguments": {"a": 1}}}]},
      {"role": "tool", "tool_name": "add", "content": "3"}]})")["messages"],
            Json::parse(R"([
      {"role": "assistant", "content": "", "reasoning_content": "Hm.", "tool_calls": [
          {"id": "call_0", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}}]},
      {"role": "tool", "content": "3", "name": "add"}])"));
}

TEST(OllamaConversation, FormsAreThoseOfChats) {
  constexpr std::string_view kNone = R"({"messages": [], )";
  const auto form = [&](const std::string& members) { return of_ollama(std::string(kNone) + members + "}"); };
  EXPECT_FALSE(form(R"("format": "")").contains("response_format"));
  EXPECT_EQ(form(R"("format": "json")")["response_format"]["type"], "json_object");
  EXPECT_EQ(form(R"("format": {"type": "object"})")["response_format"]["json_schema"]["schema"],
            Json::parse(R"({"type": "object"})"));
  EXPECT_EQ(form(R"("think": false)")["chat_template_kwargs"]["enable_thinking"], false);
  EXPECT_EQ(form(R"("think": "low")")["reasoning_effort"], "low");
}

TEST(OllamaConversation, FaultsNameTheirField) {
  const auto read = [](const std::string& body) { of_ollama(body); };
  expect_refused(read, R"({"messages": [3]})", "messages[0]");
  expect_refused(read, R"({"messages": [{"content": ""}]})", "messages[0].role");
  expect_refused(read, R"({"messages": [{"role": "user", "content": "", "images": ["aGk="]}]})",
                 "messages[0].images");
  expect_refused(read, R"({"messages": [{"role": "assistant", "tool_calls": [{"function":
      {"name": "add", "arguments": "{}"}}]}]})",
                 "messages[0].tool_calls[0].function.arguments");
  expect_refused(read, R"({"messages": [], "format": "xml"})", "format");
  expect_refused(read, R"({"messages": [], "think": "much"})", "think");
}

}  // namespace
}  // namespace llamajit::serve::conversations_test
