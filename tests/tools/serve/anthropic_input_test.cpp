// Conversations of /v1/messages, in the form of /v1/chat/completions.
#include "tools/serve/anthropic_input.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tools/serve/api_error.h"

namespace llamajit::serve::anthropic_input_test {
namespace {

using ::testing::StartsWith;

Json conversation(const std::string& body) {
  const Json json = Json::parse(body);
  return anthropic_conversation(Fields(json));
}
// With these members beside a question.
Json with(const std::string& members) {
  return conversation(fmt::format(R"({{"messages": [{{"role": "user", "content": "hi"}}], {}}})", members));
}

void expect_refused(const std::string& body, const std::string& path) {
  try {
    conversation(body);
    ADD_FAILURE() << body << " was taken";
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 400);
    EXPECT_THAT(error.what(), StartsWith(path + ": expected"));
  }
}
void expect_content_refused(const std::string& role, const std::string& content, const std::string& path) {
  expect_refused(fmt::format(R"({{"messages": [{{"role": "{}", "content": {}}}]}})", role, content),
                 "messages[0]." + path);
}

TEST(AnthropicInput, BlocksBecomeMessages) {
  EXPECT_EQ(conversation(R"({"system": [{"type": "text", "text": "Be "}, {"type": "text", "text": "kind."}],
      "messages": [
      {"role": "user", "content": [{"type": "text", "text": "h", "cache_control": {"type": "ephemeral"}},
                                   {"type": "text", "text": "i"}]},
      {"role": "assistant", "content": [
          {"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "redacted_thinking", "data": "x"},
          {"type": "text", "text": "Let me see."},
          {"type": "tool_use", "id": "a", "name": "add", "input": {"a": 1}},
          {"type": "tool_use", "id": "b", "name": "now"}]},
      {"role": "user", "content": [
          {"type": "tool_result", "tool_use_id": "a", "content": "3"},
          {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "noon"}]},
          {"type": "tool_result", "tool_use_id": "c"},
          {"type": "text", "text": "And?"}]}]})")["messages"],
            Json::parse(R"([
      {"role": "system", "content": "Be kind."},
      {"role": "user", "content": "hi"},
      {"role": "assistant", "content": "Let me see.", "reasoning_content": "Hm.", "tool_calls": [
          {"id": "a", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}},
          {"id": "b", "type": "function", "function": {"name": "now", "arguments": "{}"}}]},
      {"role": "tool", "tool_call_id": "a", "content": "3"},
      {"role": "tool", "tool_call_id": "b", "content": "noon"},
      {"role": "tool", "tool_call_id": "c", "content": ""},
      {"role": "user", "content": "And?"}])"));
}

TEST(AnthropicInput, TurnsOfOneRoleAreOne) {
  EXPECT_EQ(
      conversation(R"({"system": "Be kind.", "messages": [{"role": "user", "content": "a"},
      {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]}]})")
          ["messages"],
      Json::parse(R"([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "a\n\nbc"}])"));
}

TEST(AnthropicInput, ToolsAreThoseOfChats) {
  const Json all =
      with(R"("tools": [{"name": "add", "description": "Adds.", "input_schema": {"type": "object"},
      "strict": true}, {"type": "custom", "name": "now", "input_schema": {}}], "tool_choice": {"type": "auto"})");
  EXPECT_EQ(all["tools"], Json::parse(R"([
      {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"},
                                        "strict": true}},
      {"type": "function", "function": {"name": "now", "parameters": {}}}])"));
  EXPECT_EQ(all["tool_choice"], "auto");
  EXPECT_EQ(with(R"("tool_choice": {"type": "none"})")["tool_choice"], "none");
  EXPECT_EQ(with(R"("tool_choice": {"type": "any"})")["tool_choice"], "required");
  EXPECT_EQ(with(R"("tool_choice": {"type": "tool", "name": "add"})")["tool_choice"],
            Json::parse(R"({"type": "function", "function": {"name": "add"}})"));
  EXPECT_FALSE(with(R"("tools": [])").contains("tools"));
}

TEST(AnthropicInput, FormsAndThoughtsAreThoseOfChats) {
  const Json schema =
      Json::parse(R"({"type": "json_schema", "json_schema": {"name": "answer", "schema": {"a": 1}}})");
  const std::string format = R"({"type": "json_schema", "schema": {"a": 1}})";
  EXPECT_EQ(with(fmt::format(R"("output_config": {{"format": {}}})", format))["response_format"], schema);
  EXPECT_EQ(with(fmt::format(R"("output_format": {})", format))["response_format"], schema);
  const auto schema_of = [](const std::string& body) {
    const Json json = Json::parse(body);
    return anthropic_form_members(Fields(json)).schema;
  };
  EXPECT_EQ(schema_of(R"({"output_config": {"format": {}}, "output_format": {}})"),
            "output_config.format.schema");
  EXPECT_EQ(schema_of(R"({"output_config": {"effort": "low"}, "output_format": {}})"),
            "output_format.schema");
  EXPECT_EQ(with(R"("output_config": {"effort": "low"})")["reasoning_effort"], "low");
  EXPECT_EQ(with(R"("output_config": {"effort": "max"})")["reasoning_effort"], "high");
  const auto thinks = [](const std::string& members) {
    return with(members)["chat_template_kwargs"]["enable_thinking"].get<bool>();
  };
  EXPECT_TRUE(thinks(R"("thinking": {"type": "enabled", "budget_tokens": 1024})"));
  EXPECT_TRUE(thinks(R"("thinking": {"type": "adaptive"})"));
  EXPECT_FALSE(thinks(R"("thinking": {"type": "disabled"})"));
  EXPECT_FALSE(thinks(R"("thinking": null)"));
}

TEST(AnthropicInput, FaultsNameTheirField) {
  expect_refused("{}", "messages");
  expect_refused(R"({"messages": []})", "messages");
  expect_refused(R"({"messages": [3]})", "messages[0]");
  expect_refused(R"({"messages": [{"role": "user"}]})", "messages[0].content");
  expect_content_refused("king", R"("hi")", "role");
  expect_content_refused("user", "3", "content");
  expect_content_refused("user", R"([{"type": "image"}])", "content[0].type");
  expect_content_refused("user", R"([{"type": "text"}])", "content[0].text");
  expect_content_refused("user", R"([{"type": "tool_result", "content": "3"}])", "content[0].tool_use_id");
  expect_content_refused("user",
                         R"([{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "image"}]}])",
                         "content[0].content[0].type");
  expect_content_refused("assistant", R"([{"type": "tool_use", "id": "a"}])", "content[0].name");
  expect_content_refused("assistant", R"([{"type": "tool_use", "id": "a", "name": "b", "input": 3}])",
                         "content[0].input");
  const std::string last =
      R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})";
  expect_refused(last, "messages");
  const auto beside = [](const std::string& members) {
    return R"({"messages": [{"role": "user", "content": "hi"}], )" + members + "}";
  };
  expect_refused(beside(R"("system": [{"type": "image"}])"), "system[0].type");
  expect_refused(beside(R"("tools": [{"type": "bash_20250124", "name": "bash"}])"), "tools[0].type");
  expect_refused(beside(R"("tools": [{"input_schema": {}}])"), "tools[0].name");
  expect_refused(beside(R"("tool_choice": {"type": "some"})"), "tool_choice.type");
  expect_refused(beside(R"("tool_choice": {"type": "tool"})"), "tool_choice.name");
  expect_refused(beside(R"("thinking": {"type": "hard"})"), "thinking.type");
  expect_refused(beside(R"("output_config": {"format": {"type": "xml"}})"), "output_config.format.type");
  expect_refused(beside(R"("output_format": {"type": "json_schema"})"), "output_format.schema");
}

}  // namespace
}  // namespace llamajit::serve::anthropic_input_test
