// Conversations with tools as templates write them, and read back.
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/chat/call_id.h"
#include "runtime/chat/chat_template.h"
#include "runtime/chat/reply_parser.h"
#include "runtime/chat/tool_form.h"
#include "runtime/chat/tool_text.h"
#include "runtime/jinja/json_value.h"
#include "tests/support/jinja2_rendering.h"
#include "tokenizer/spm.h"

namespace llamajit::test::tool_messages_test {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

const std::string kTemplates = LLAMAJIT_SOURCE_DIR "/tests/golden/templates/";
const std::string kWeather =
    R"({"type": "function", "function": {"name": "weather", "description": "It tells \"it\"", "parameters": )"
    R"({"type": "object", "properties": {"city": {"type": "string", "description": "where"}, "days": {"type": )"
    R"("integer", "description": "how many"}}, "required": ["city"]}}})";

std::string source_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

ChatTemplate golden(const std::string& name) {
  return {source_of(kTemplates + name + ".jinja"), name};
}

Message calling(std::string content, std::vector<ToolCall> calls, std::string reasoning = "") {
  return {"assistant", std::move(content), std::move(reasoning), std::move(calls)};
}

Message result(std::string text, std::string id) {
  return {"tool", std::move(text), "", {}, std::move(id), "weather"};
}

const ToolCall kSeoul{"abcdefgh1", "weather", R"({"city": "서울 \"x\"", "days": 2})"};

std::vector<std::vector<Message>> conversations() {
  const Message user{"user", "How is it?"};
  const Message answer{"assistant", "Fine."};
  return {
      {user},
      {{"system", "S"}, user, calling("", {kSeoul}), result("{\"sun\": 1}", kSeoul.id)},
      {user, calling("", {kSeoul}), result("7", kSeoul.id), answer, user},
      {user, calling("I look.", {kSeoul}, "hm"), result("7", kSeoul.id), answer, user},
      {user, calling("", {kSeoul}, "hm"), result("7", kSeoul.id)},
      {user, calling("", {kSeoul, {"abcdefgh2", "weather", ""}}), result("7", kSeoul.id),
       result("8", "abcdefgh2")},
      {user, calling("", {{"abcdefgh3", "weather", "no JSON"}}), result("7", "abcdefgh3")},
  };
}

// The same messages, made here.
Json messages_json(const std::vector<Message>& messages, const CallStyle& style) {
  Json list = Json::array();
  for (const Message& message : messages) {
    Json one = {{"role", message.role}, {"content", message.content}};
    if (style.none_content && message.content.empty()) one["content"] = nullptr;
    if (!message.reasoning_content.empty()) {
      one["reasoning_content"] = message.reasoning_content;
      if (style.thinking && (message.content.empty() || message.tool_calls.empty()))
        one["thinking"] = message.reasoning_content;
    }
    if (!message.tool_call_id.empty()) one["tool_call_id"] = message.tool_call_id;
    if (!message.name.empty()) one["name"] = message.name;
    for (const ToolCall& call : message.tool_calls) {
      const std::string text = call.arguments.empty() ? "{}" : call.arguments;
      const bool is_text = style.text_arguments || !Json::accept(text);
      one["tool_calls"].push_back(
          {{"type", "function"},
           {"id", call.id},
           {"function", {{"name", call.name}, {"arguments", is_text ? Json(text) : Json::parse(text)}}}});
    }
    list.push_back(one);
  }
  return list;
}

// What a template makes of all conversations, with this time's tools and variables.
struct Renderings {
  Json tests = Json::array();
  std::vector<std::string> ours;
  std::vector<std::string> names;

  void add(const std::filesystem::path& path) {
    const std::string source = source_of(path);
    const ChatTemplate chat_template(source, "t");
    const CallStyle style = chat_template.call_probe().style;
    const std::string tools = "[" + kWeather + "]";
    for (const auto& messages : conversations()) {
      for (const bool thinks : {true, false}) {
        jinja::Dict variables;
        variables.set("tools", jinja::parse_json(tools, "tools"));
        variables.set("enable_thinking", thinks);
        variables.set("add_generation_prompt", thinks);
        try {
          ours.push_back(chat_template.render(messages, "<s>", "</s>", variables));
        } catch (const std::runtime_error& error) {
          ours.push_back(fmt::format("error: {}", error.what()));
        }
        names.push_back(path.filename().string());
        tests.push_back({{"template", source},
                         {"variables",
                          {{"messages", messages_json(messages, style)},
                           {"bos_token", "<s>"},
                           {"eos_token", "</s>"},
                           {"documents", nullptr},
                           {"tools", Json::parse(tools)},
                           {"enable_thinking", thinks},
                           {"add_generation_prompt", thinks}}}});
      }
    }
  }
};

void expect_rendered_as_jinja(const Renderings& all) {
  const auto theirs = rendered_by_jinja2(all.tests);
  if (!theirs) GTEST_SKIP() << "no python3 with jinja2 (Debian's python3-jinja2)";
  for (std::size_t i = 0; i < all.ours.size(); ++i) {
    const Json& their = (*theirs)[i];
    const Json& test = all.tests[i];
    if (their.contains("error")) {
      EXPECT_THAT(all.ours[i], ::testing::StartsWith("error: "))
          << all.names[i] << their << test["variables"];
    } else if (test["template"].get<std::string>().find("strftime_now") ==
               std::string::npos) {  // tells the day
      EXPECT_EQ(all.ours[i], their["text"].get<std::string>()) << all.names[i] << test["variables"];
    }
  }
}

int read_back = 0;
// What the template writes for an answer with a call is a reply that has that call in it.
void expect_read_back(const ChatTemplate& chat_template, const ToolForm& form, const std::string& what) {
  jinja::Dict variables;
  variables.set("tools", jinja::parse_json("[" + kWeather + "]", "tools"));
  std::vector<Message> messages{{"user", "How is it?"}};
  const std::string prompt = chat_template.render(messages, "", "", variables);
  messages.push_back(calling("", {kSeoul}));
  variables.set("add_generation_prompt", false);
  const std::string whole = chat_template.render(messages, "", "", variables);
  if (!whole.starts_with(prompt)) return;  // as of templates that write no thought into the history
  ReplyParser parser({.form = form,
                      .tools = {{"weather", Json::parse(kWeather)["function"]["parameters"].dump()}},
                      .in_reasoning = begins_in_reasoning(form, prompt)});
  std::string name;
  std::string arguments;
  std::vector<ReplyEvent> events = parser.push(whole.substr(prompt.size()));
  for (const ReplyEvent& event : events) {
    if (event.kind == ReplyEvent::Kind::call_begin) name += event.text;
    if (event.kind == ReplyEvent::Kind::call_arguments) arguments += event.text;
  }
  ++read_back;
  EXPECT_EQ(name, "weather") << what << "\n" << whole.substr(prompt.size());
  EXPECT_EQ(Json::parse(arguments, nullptr, false), Json::parse(kSeoul.arguments)) << what << "\n"
                                                                                   << arguments;
}

TEST(ToolMessages, AreRenderedAsJinjaDoes) {
  Renderings all;
  for (const auto& file : std::filesystem::directory_iterator(kTemplates)) all.add(file.path());
  EXPECT_GT(all.ours.size(), 10 * conversations().size());
  expect_rendered_as_jinja(all);
}

// Of a folder outside of the project, where there is one: tools/dev/compare-templates names it.
TEST(ToolMessages, OfAnotherFoldersTemplates) {
  const char* const folder = std::getenv("LLAMAJIT_TEMPLATES");
  if (folder == nullptr) GTEST_SKIP() << "LLAMAJIT_TEMPLATES names no folder of templates";
  Renderings all;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().extension() != ".jinja") continue;
    all.add(file.path());
    const ChatTemplate chat_template(source_of(file.path()), file.path().filename().string());
    const ToolForm form = find_tool_form(chat_template);
    if (!form.in_template) continue;
    try {
      expect_read_back(chat_template, form, file.path().filename().string());
    } catch (const std::runtime_error& error) {
      std::cout << error.what() << '\n';  // what Jinja thinks of it is seen below
    }
  }
  expect_rendered_as_jinja(all);
}

struct Expected {
  const char* name;
  ToolForm form;
  const char* call;  // how the template writes it
};
const Expected kExpected[] = {
    {"tools-hermes",
     {CallSyntax::hermes, ReasoningSyntax::think, true},
     "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"서울 \\\"x\\\"\", \"days\": "
     "2}}\n</tool_call>"},
    {"tools-xml",
     {CallSyntax::xml, ReasoningSyntax::think, true},
     "<tool_call>\n<function=weather>\n<parameter=city>\n서울 \"x\"\n</parameter>\n<parameter=days>\n2\n"
     "</parameter>\n</function>\n</tool_call>"},
    {"tools-llama",
     {CallSyntax::llama, ReasoningSyntax::none, true},
     "\n\n{\"name\": \"weather\", \"parameters\": {\"city\": \"서울 \\\"x\\\"\", \"days\": 2}}<|eot_id|>"},
    {"tools-mistral-list",
     {CallSyntax::mistral_list, ReasoningSyntax::none, true},
     "[TOOL_CALLS][{\"name\": \"weather\", \"arguments\": {\"city\": \"서울 \\\"x\\\"\", \"days\": 2}, "
     "\"id\": "
     "\"abcdefgh1\"}]</s>"},
    {"tools-mistral-args",
     {CallSyntax::mistral_args, ReasoningSyntax::brackets, true},
     "[TOOL_CALLS]weather[ARGS]{\"city\": \"서울 \\\"x\\\"\", \"days\": 2}</s>"},
    {"tools-channels",
     {CallSyntax::channels, ReasoningSyntax::channels, true},
     "to=functions.weather<|channel|>commentary json<|message|>{\"city\": \"서울 \\\"x\\\"\", \"days\": "
     "2}<|call|>"},
};

TEST(ToolForms, AreFoundByWhatTheTemplateWrites) {
  for (const auto& [name, form, call] : kExpected) {
    const ChatTemplate chat_template = golden(name);
    EXPECT_EQ(find_tool_form(chat_template), form) << name;
    EXPECT_THAT(chat_template.render(conversations()[2], "<s>", "</s>"), HasSubstr(call)) << name;
    const int before = read_back;
    expect_read_back(chat_template, form, name);
    EXPECT_EQ(read_back, before + 1) << name;
  }
  for (const NamedTemplate& named : named_templates()) {
    EXPECT_EQ(find_tool_form(ChatTemplate(named)), ToolForm{}) << named.name;
  }
  EXPECT_FALSE(find_tool_form(golden("tools-none-and-text")).in_template) << "a form that nobody knows";
  const auto by_words = [](const std::string& source) { return find_tool_form(ChatTemplate(source, "t")); };
  const ToolForm xml{CallSyntax::xml, ReasoningSyntax::none, true};
  EXPECT_EQ(by_words("{{ tools }} write <tool_call>\n<function=x>"), xml);
  EXPECT_FALSE(by_words("{{ tools }} write <tool_call>x<arg_key>").in_template);
}

TEST(ToolForms, TemplatesGetWhatTheyCanWrite) {
  const std::string text = golden("tools-none-and-text").render(conversations()[1], "", "");
  EXPECT_EQ(text, "<system>S<user>How is it?<call>function<sep>weather\n" + kSeoul.arguments +
                      "<end><output>{\"sun\": 1}<end><assistant>");
  const std::string source =
      "{% for m in messages %}{% if 'tool_calls' in m %}{{ m.tool_calls[0].function.arguments "
      "}}{{ m.tool_calls[0].function.name }}{% else %}{{ m.content }}{% endif %}{% endfor %}";
  EXPECT_THAT(ChatTemplate(source, "t").render(conversations()[1], "", ""), HasSubstr(kSeoul.arguments))
      << "not as Python prints a dictionary";
  EXPECT_EQ(ChatTemplate("{% for m in messages %}{% for key in m %}{{ key }} {% endfor %}{% endfor %}", "t")
                .render(std::vector<Message>{{"user", "x"}}, "", ""),
            "role content ")
      << "nothing that the message lacks";
}

TEST(ToolForms, VariablesOfOneRendering) {
  ChatTemplate chat_template("{{ x }}{{ tools is none }}{{ add_generation_prompt }}", "t");
  chat_template.define("x", 1.5);
  EXPECT_EQ(chat_template.render({}, "", ""), "1.5TrueTrue");
  jinja::Dict variables;
  variables.set("x", "y");
  variables.set("add_generation_prompt", false);
  EXPECT_EQ(chat_template.render({}, "", "", variables), "yTrueFalse");
  EXPECT_EQ(chat_template.render({}, "", ""), "1.5TrueTrue");
  variables.set("messages", "z");
  EXPECT_THROW(chat_template.render({}, "", "", variables), std::invalid_argument);
  const std::string deep = std::string(80, '[') + std::string(80, ']');
  const std::vector<Message> messages{calling("", {{"i", "n", deep}})};
  EXPECT_THROW(chat_template.render(messages, "", ""), std::runtime_error);
}

TEST(ToolForms, HostileTemplatesDoNotDelayTheirReader) {
  const std::clock_t begin = std::clock();
  const ChatTemplate endless(
      "{{ messages[0].tool_calls }}{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% "
      "endfor %}",
      "t");
  EXPECT_LT(std::clock() - begin, 2 * CLOCKS_PER_SEC);
  EXPECT_EQ(find_tool_form(endless).calls, CallSyntax::hermes);
}

TEST(ToolForms, PromptsThatEndWithinAThought) {
  const ToolForm think{CallSyntax::hermes, ReasoningSyntax::think, true};
  EXPECT_TRUE(begins_in_reasoning(think, "…<|im_start|>assistant\n<think>\n"));
  EXPECT_FALSE(begins_in_reasoning(think, "…<think>\n\n</think>\n\n"));
  EXPECT_FALSE(begins_in_reasoning({}, "<think>"));
}

TEST(ToolForms, MarkersAreSpelledThoughTheyAreControlPieces) {
  std::vector<Piece> pieces{{"<unk>", 0, PieceKind::unknown},  {"<s>", 0, PieceKind::control},
                            {"</s>", 0, PieceKind::control},   {"[TOOL_CALLS]", 0, PieceKind::control},
                            {"[ARGS]", 0, PieceKind::control}, {"<think>", 0, PieceKind::user_defined},
                            {" x", 0, PieceKind::normal},      {"</think>", 0, PieceKind::control}};
  const SpmTokenizer tokenizer(Vocab(std::move(pieces), {.spelled_in_text = true}));
  const ToolForm mistral{CallSyntax::mistral_args, ReasoningSyntax::none, true};
  EXPECT_EQ(reply_bytes(tokenizer, 6, 3, mistral), "[TOOL_CALLS]");
  EXPECT_EQ(reply_bytes(tokenizer, 6, 4, mistral), "[ARGS]");
  EXPECT_EQ(reply_bytes(tokenizer, 6, 5, mistral), "<think>") << "as decode() does";
  EXPECT_EQ(reply_bytes(tokenizer, 6, 7, mistral), "") << "no marker of this form";
  for (const TokenId token : {-1, 0, 1, 2, 8})
    EXPECT_EQ(reply_bytes(tokenizer, 6, token, mistral), "") << token;
  EXPECT_EQ(reply_bytes(tokenizer, 6, 6, mistral), " x");
  EXPECT_EQ(reply_bytes(tokenizer, 1, 6, mistral), tokenizer.decode(1, 6));
  const ToolForm hermes{CallSyntax::hermes, ReasoningSyntax::think, true};
  EXPECT_EQ(reply_bytes(tokenizer, 6, 3, hermes), "");
  EXPECT_EQ(reply_bytes(tokenizer, 6, 7, hermes), "</think>");
  EXPECT_EQ(find_tool_form(ChatTemplate("{{ messages }}", "t"), &tokenizer).reasoning, ReasoningSyntax::think)
      << "by the vocabulary";
}

TEST(ToolText, DescribesToolsInPlainMessages) {
  const std::vector<std::string> tools{kWeather};
  const std::vector<Message> messages{{"user", "q"},
                                      calling("I look.", {kSeoul, {"2", "now\"", ""}}),
                                      result("7", "1"),
                                      result("8", "2"),
                                      {"assistant", "ok"}};
  const std::vector<Message> plain = with_described_tools(messages, tools);
  ASSERT_EQ(plain.size(), 5U);
  EXPECT_EQ(plain[0].role, "system");
  EXPECT_THAT(plain[0].content, HasSubstr("<tools>\n" + kWeather + "\n</tools>"));
  EXPECT_EQ(plain[2].content,
            "I look.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": " + kSeoul.arguments +
                "}\n</tool_call>\n<tool_call>\n{\"name\": \"now\\\"\", \"arguments\": {}}\n</tool_call>");
  EXPECT_TRUE(plain[2].tool_calls.empty());
  const Message results{"user", "<tool_response>\n7\n</tool_response>\n<tool_response>\n8\n</tool_response>"};
  EXPECT_EQ(plain[3], results);
  const std::vector<Message> with_system{{"system", "S"}, {"user", "q"}};
  EXPECT_THAT(with_described_tools(with_system, tools)[0].content,
              ::testing::StartsWith("S\n\nYou may call"));
  EXPECT_EQ(with_described_tools(with_system, {}), with_system);
}

TEST(CallIds, AreNineLettersAndDigits) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    for (std::uint64_t index = 0; index < 100; ++index) {
      const std::string id = tool_call_id(seed, index);
      EXPECT_EQ(id.size(), 9U);
      EXPECT_TRUE(std::ranges::all_of(id, [](unsigned char c) { return std::isalnum(c) != 0; })) << id;
      EXPECT_TRUE(seen.insert(id).second) << id;
      EXPECT_EQ(id, tool_call_id(seed, index));
    }
  }
}

}  // namespace
}  // namespace llamajit::test::tool_messages_test
