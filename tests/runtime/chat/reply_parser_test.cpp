// Replies in each form, however they are cut: what is thought, said and called.
#include "runtime/chat/reply_parser.h"

#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace llamajit::reply_parser_test {
namespace {

using Kind = ReplyEvent::Kind;

const std::vector<Tool> kTools{
    {"weather",
     R"({"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"},
        "exact": {"type": "boolean"}, "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "places": {"type": "array"}, "unit": {"enum": ["C", "F"]}}})"},
    {"now", ""}};

ToolForm form(CallSyntax calls, ReasoningSyntax reasoning = ReasoningSyntax::think) {
  return {calls, reasoning, true};
}

// Events as one text: (thought) content [index name arguments], with ! behind what is incomplete.
std::string written(const std::vector<ReplyEvent>& events) {
  std::string text;
  Kind last = Kind::call_end;
  for (const ReplyEvent& event : events) {
    const bool goes_on = event.kind == last;
    if (last == Kind::reasoning && !goes_on) text += ")";
    switch (event.kind) {
      case Kind::reasoning:
        text += (goes_on ? "" : "(") + event.text;
        break;
      case Kind::content:
      case Kind::call_arguments:
        text += event.text;
        break;
      case Kind::call_begin:
        text += fmt::format("[{} {} ", event.call, event.text);
        break;
      case Kind::call_end:
        text += event.incomplete ? "!]" : "]";
    }
    last = event.kind;
  }
  return last == Kind::reasoning ? text + ")" : text;
}

// What comes of a reply in pieces that end at these places.
std::vector<ReplyEvent> parsed(const ReplyParserOptions& options, const std::string& reply,
                               const std::vector<std::size_t>& cuts) {
  ReplyParser parser(options);
  std::vector<ReplyEvent> events;
  const auto add = [&](std::vector<ReplyEvent> more) {
    events.insert(events.end(), more.begin(), more.end());
  };
  std::size_t begin = 0;
  for (const std::size_t cut : cuts) {
    add(parser.push(reply.substr(begin, cut - begin)));
    begin = cut;
  }
  add(parser.push(reply.substr(begin)));
  add(parser.finish());
  return events;
}

// In one piece, in two at each place, and byte by byte.
void expect_parsed(const ReplyParserOptions& options, const std::string& reply, const std::string& expected) {
  EXPECT_EQ(written(parsed(options, reply, {})), expected) << reply;
  std::vector<std::size_t> all;
  for (std::size_t cut = 0; cut <= reply.size(); ++cut) {
    ASSERT_EQ(written(parsed(options, reply, {cut})), expected) << reply << "\ncut at " << cut;
    all.push_back(cut);
  }
  EXPECT_EQ(written(parsed(options, reply, all)), expected) << reply << "\nbyte by byte";
}

void expect_parsed(CallSyntax calls, const std::string& reply, const std::string& expected) {
  expect_parsed({.form = form(calls), .tools = kTools}, reply, expected);
}

TEST(ReplyParser, HermesCalls) {
  const auto hermes = [](const std::string& reply, const std::string& expected) {
    expect_parsed(CallSyntax::hermes, reply, expected);
  };
  hermes("<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"서울\"}}\n</tool_call>",
         "[0 weather {\"city\": \"서울\"}]");
  hermes("Let me look.\n\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n",
         "Let me look.[0 now {}]");
  hermes(
      "<tool_call>\n{\"name\": \"now\"}\n</tool_call>\n<tool_call>{\"arguments\":{\"a\": [1, {\"b\": null}]},"
      "\"name\":\"weather\"}</tool_call>",
      "[0 now {}][1 weather {\"a\": [1, {\"b\": null}]}]");
  hermes(
      R"(<tool_call>{"name": "weather", "arguments": {"city": "a } \" { \\", "x": {"y": "}}"}}}</tool_call>)",
      R"([0 weather {"city": "a } \" { \\", "x": {"y": "}}"}}])");
  hermes("<tool_call>\n{\"name\": \"now\", \"arguments\": null}\n</tool_call>\n\nThat was it. ",
         "[0 now {}]That was it. ");
  hermes(R"(<tool_call>{"name": "weather", "arguments": "{\"city\": \"x\"}"}</tool_call>)",
         R"([0 weather {"city": "x"}])");
  hermes(
      R"(<tool_call>{"id": 7, "type": "function", "name": "weat\u0068er", "parameters": {}, "more": [{}]})",
      "[0 weather {}]");
  hermes("<tool_call>{\"name\": \"nobody's\", \"arguments\": {\"a\": \"line\nline\t\"}}</tool_call>",
         R"([0 nobody's {"a": "line\nline\t"}])");
  hermes(R"(<tool_call>{"name": "now", "arguments": {"a": -1.5e+3, "b": 0, "c": true}}</tool_call>)",
         R"([0 now {"a": -1.5e+3, "b": 0, "c": true}])");
  hermes(R"(<tool_call>{"name": "weather", "arguments": {"city": "x"}</tool_call> there)",
         R"([0 weather {"city": "x"}]there)");
}

TEST(ReplyParser, WhatIsNoCallIsContentAsItWas) {
  for (const std::string reply :
       {"plain", "  blanks  \n", "a < b <tool", "use <tool_call> for calls",
        "<tool_call>\nno JSON</tool_call>", "<tool_call>{\"nam\": 1}</tool_call>",
        "<tool_call>{\"name\": 5}</tool_call>", "<tool_call>{\"name\": \"now\", \"arguments\": [1]} x",
        "x <tool_call>\n{\"na", "<tool_call>{\"name\": \"\", \"arguments\": {}}", "<tool_call><function=now",
        "<tool_call><b>", "<tool_call>{\"name\": \"now\", \"arguments\": \"text\"}</tool_call>",
        "</tool_call>", "<think", "code <think>inside</think>", "{\"name\": \"now\", \"parameters\": {}}",
        "\xED\xA0 <tool_\xFF"}) {
    expect_parsed(CallSyntax::hermes, reply, reply);
  }
  expect_parsed(CallSyntax::hermes, "<tool_call>\n<tool_call>\n{\"name\": \"now\"}</tool_call>",
                "<tool_call>[0 now {}]");
  expect_parsed(CallSyntax::hermes, "done\n<tool_call>", "done\n");
}

TEST(ReplyParser, CallsThatBreakOff) {
  const std::string begin = "<tool_call>\n{\"name\": \"weather\", \"arguments\": ";
  expect_parsed(CallSyntax::hermes, begin + "{\"city\": \"Se", "[0 weather {\"city\": \"Se!]");
  expect_parsed(CallSyntax::hermes, begin, "[0 weather !]");
  expect_parsed(CallSyntax::hermes, begin + "{\"city\": \"x\"}", "[0 weather {\"city\": \"x\"}]");
  expect_parsed(CallSyntax::hermes, begin + "{\"city\": \"x\"}}\n</tool", "[0 weather {\"city\": \"x\"}]");
  expect_parsed(CallSyntax::hermes, begin + "{\"city\": oh}\n</tool_call>",
                "[0 weather {\"city\": !]oh}\n</tool_call>");
  expect_parsed(CallSyntax::hermes, begin + "{\"a\": 01}", "[0 weather {\"a\": 0!]1}");
  expect_parsed(CallSyntax::hermes, begin + "{\"a\": " + std::string(100, '['),
                "[0 weather {\"a\": " + std::string(58, '[') + "!]" + std::string(42, '['));
}

TEST(ReplyParser, XmlCallsHaveTheTypesOfTheSchema) {
  const auto xml = [](const std::string& reply, const std::string& expected) {
    expect_parsed(CallSyntax::xml, reply, expected);
  };
  const auto call = [](const std::string& parameters) {
    return "<tool_call>\n<function=weather>\n" + parameters + "</function>\n</tool_call>";
  };
  const auto parameter = [](const std::string& key, const std::string& value) {
    return "<parameter=" + key + ">\n" + value + "\n</parameter>\n";
  };
  xml(call(""), "[0 weather {}]");
  xml(call(parameter("city", "5") + parameter("days", "5") + parameter("exact", "True")),
      R"([0 weather {"city": "5", "days": 5, "exact": true}])");
  xml(call(parameter("city", "\na \"b\"\n\\ </para> <b>\n")),
      R"([0 weather {"city": "\na \"b\"\n\\ </para> <b>\n"}])");
  xml(call(parameter("note", "null") + parameter("note", "none")),
      R"([0 weather {"note": null, "note": "none"}])");
  xml(call(parameter("places", "[\"서울\", {\"x\": 1}]") + parameter("unit", "C")),
      R"([0 weather {"places": ["서울", {"x": 1}], "unit": "C"}])");
  xml(call(parameter("days", "many") + parameter("other", "x y") + parameter("third", "[1]")),
      R"([0 weather {"days": "many", "other": "x y", "third": [1]}])");
  xml(call("<parameter=city>x</parameter>"), R"([0 weather {"city": "x"}])");
  xml(call(parameter("city", "x")) + "\n" + call(parameter("city", "y")) + "\nbye",
      R"([0 weather {"city": "x"}][1 weather {"city": "y"}]bye)");
  xml("Well.\n\n<function=now>\n</function>\n</tool_call>", "Well.[0 now {}]");
  xml("a <function=strange>\n</function>", "a <function=strange>\n</function>");
  xml("<tool_call>\n<function=weather>\n<parameter=city>\nSeo", R"([0 weather {"city": "Seo!])");
  xml("<tool_call>\n<function=weather>\n<parameter=city>\nSeoul\n</para", R"([0 weather {"city": "Seoul!])");
  xml("<tool_call>\n<function=weather>\n<parameter=days>\n1", R"([0 weather {"days": 1!])");
  xml("<tool_call>\n<function=weather>\nwhat", "[0 weather !]what");
  xml("<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>", "[0 now {}]");
}

TEST(ReplyParser, LlamaCalls) {
  const auto llama = [](const std::string& reply, const std::string& expected) {
    expect_parsed(CallSyntax::llama, reply, expected);
  };
  llama(R"({"name": "weather", "parameters": {"city": "x;{}"}})", R"([0 weather {"city": "x;{}"}])");
  llama(R"(<|python_tag|>{"name": "anybody", "parameters": {}})", "[0 anybody {}]");
  llama(
      R"(<|python_tag|>{"type": "function", "name": "now", "parameters": {}}; {"name": "now", "parameters": {}})",
      "[0 now {}][1 now {}]");
  llama("{\"name\": \"now\", \"parameters\": {}}\n{\"name\": \"weather\", \"parameters\": {\"a\": 1}};",
        "[0 now {}][1 weather {\"a\": 1}]");
  llama("Sure: <|python_tag|>{\"name\": \"now\", \"parameters\": {}}", "Sure:[0 now {}]");
  for (const std::string reply :
       {R"({"name": "Bob", "parameters": {}})", R"({"name": "now"})", R"({"name": "now", "age": 5})", "{}",
        "{x", R"(  {"title": "now", "parameters": {}})", R"({"name": "now", "parameters": 5})",
        R"([{"name": "now"}])", R"(So: {"name": "now", "parameters": {}})", "<|python_tag|>print(1)",
        R"({"name": "no)", R"({"parameters": {"a": 1}, "name": "Bob"})"}) {
    llama(reply, reply);
  }
}

TEST(ReplyParser, MistralCalls) {
  for (const CallSyntax calls :
       {CallSyntax::mistral_list, CallSyntax::mistral_args, CallSyntax::mistral_name}) {
    const auto mistral = [&](const std::string& reply, const std::string& expected) {
      expect_parsed(calls, reply, expected);
    };
    mistral(R"([TOOL_CALLS] [{"name": "weather", "arguments": {"city": "]}"}, "id": "123456789"}])",
            R"([0 weather {"city": "]}"}])");
    mistral(R"([TOOL_CALLS][{"name": "now", "arguments": {}}, {"name": "now", "arguments": {"a": 1}}])",
            R"([0 now {}][1 now {"a": 1}])");
    mistral(R"([TOOL_CALLS]weather[ARGS]{"city": "x"}[TOOL_CALLS]now[ARGS]{})",
            R"([0 weather {"city": "x"}][1 now {}])");
    mistral(R"(Well.[TOOL_CALLS]now[CALL_ID]123456789[ARGS] {"a": {}})", R"(Well.[0 now {"a": {}}])");
    mistral(R"([TOOL_CALLS]now{})", "[0 now {}]");
    mistral(R"([TOOL_CALLS]{"name": "now", "arguments": {}})", "[0 now {}]");
    mistral(R"([TOOL_CALLS][{"name": "now", "arguments": {"a": "b)", R"([0 now {"a": "b!])");
    mistral(R"([TOOL_CALLS][{"name": "now", "arguments": {}}, )", "[0 now {}]");
    mistral(R"([TOOL_CALLS][{"name": "now", "arguments": {}} {)", "[0 now {}]{");
    mistral(R"([TOOL_CALLS]now[ARGS])", "[0 now !]");
    mistral(R"([TOOL_CALLS]now[ARGS]{"a": 1} more)", R"([0 now {"a": 1}]more)");
    for (const std::string reply :
         {"[TOOL_CALLS]no way {}", "[TOOL_CALLS][]", "[TOOL_CALLS]no", "[TOOL", "[TOOL_CALLS][1]"}) {
      mistral(reply, reply);
    }
    mistral("[TOOL_CALLS]" + std::string(300, 'x') + "{}", "[TOOL_CALLS]" + std::string(300, 'x') + "{}");
  }
}

TEST(ReplyParser, ThoughtsComeFirst) {
  ReplyParserOptions options{.form = form(CallSyntax::hermes), .tools = kTools};
  expect_parsed(options, "<think>\nhm\n hm\n</think>\n\nHello  there", "(hm\n hm)Hello  there");
  expect_parsed(options, "\n<think>\n\n</think>\n\nHello", "Hello");
  expect_parsed(options, "<think>a <tool_call> b</think>\n<tool_call>{\"name\": \"now\"}</tool_call>",
                "(a <tool_call> b)[0 now {}]");
  expect_parsed(options, "<think>cut </thi", "(cut </thi)");
  expect_parsed(options, "<think>a</think> b <think>c</think>", "(a)b <think>c</think>");
  options.in_reasoning = true;
  expect_parsed(options, "\nhm</think>\n\nHello", "(hm)Hello");
  expect_parsed(options, "hm < 2", "(hm < 2)");
  options.form = form(CallSyntax::llama);
  expect_parsed(options, "hm</think>\n\n{\"name\": \"now\", \"parameters\": {}}", "(hm)[0 now {}]");
  options.form = form(CallSyntax::mistral_args, ReasoningSyntax::brackets);
  options.in_reasoning = false;
  expect_parsed(options, "[THINK]hm[/THINK]Hi[TOOL_CALLS]now[ARGS]{}", "(hm)Hi[0 now {}]");
  options.form.reasoning = ReasoningSyntax::none;
  expect_parsed(options, "<think>hm</think>", "<think>hm</think>");
}

TEST(ReplyParser, WithoutToolsNothingIsACall) {
  for (const CallSyntax calls :
       {CallSyntax::hermes, CallSyntax::xml, CallSyntax::llama, CallSyntax::mistral_list}) {
    for (const std::string reply :
         {"<tool_call>\n{\"name\": \"now\"}\n</tool_call>", "{\"name\": \"now\", \"parameters\": {}}",
          "<|python_tag|>{\"name\": \"now\"}", "[TOOL_CALLS]now{}", " text \n"}) {
      expect_parsed({.form = form(calls)}, reply, reply);
    }
  }
  ReplyParser parser({.form = form(CallSyntax::hermes)});
  EXPECT_EQ(parser.push("text ").size(), 1U);
  EXPECT_EQ(written(parser.push(" \n")), " \n") << "blanks need not wait";
}

TEST(ReplyParser, Channels) {
  const ReplyParserOptions options{.form = form(CallSyntax::channels, ReasoningSyntax::channels),
                                   .tools = kTools};
  const std::string thought = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant";
  expect_parsed(options, thought + "<|channel|>final<|message|>Hello <b> \n there<|return|>",
                "(hm)Hello <b> \n there");
  expect_parsed(options, thought + "<|channel|>final<|message|>Hello", "(hm)Hello");
  expect_parsed(
      options,
      thought +
          "<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{\"city\": \"<|x\"}"
          "<|call|>",
      "(hm)[0 weather {\"city\": \"<|x\"}]");
  expect_parsed(options,
                thought +
                    " to=functions.now<|channel|>commentary json<|message|>{}<|call|><|start|>assistant"
                    "<|channel|>commentary to=functions.now<|message|><|call|>",
                "(hm)[0 now {}][1 now {}]");
  expect_parsed(options,
                "<|channel|>commentary<|message|>I will look.<|end|><|start|>assistant to=functions.now"
                "<|channel|>commentary<|message|>{\"a\": 1",
                "I will look.[0 now {\"a\": 1!]");
  expect_parsed(options, "<|channel|>analysis<|message|>cut <|en", "(cut <|en)");
  expect_parsed(options, "plain <b>", "plain <b>");
  expect_parsed(options, "<|channel|>ana", "");
  expect_parsed(options, "to=functions.x", "to=functions.x");
  const std::string long_header = "<|channel|>" + std::string(2000, 'x');
  expect_parsed(options, long_header, long_header);
  expect_parsed({.form = options.form},
                thought + " to=functions.now<|channel|>commentary<|message|>{}<|call|>", "(hm){}");
}

TEST(ReplyParser, ArgumentsComeAsTheyAreWritten) {
  ReplyParser parser({.form = form(CallSyntax::hermes), .tools = kTools});
  EXPECT_EQ(written(parser.push("Hi.\n<tool_call>\n{\"name\": \"weather\", \"argu")), "Hi.");
  const std::vector<ReplyEvent> begin{{.kind = Kind::call_begin, .text = "weather", .call = 0},
                                      {.kind = Kind::call_arguments, .text = "{\"ci", .call = 0}};
  EXPECT_EQ(parser.push("ments\": {\"ci"), begin);
  EXPECT_EQ(parser.push("ty\": \"Seo").at(0).text, "ty\": \"Seo");
  EXPECT_EQ(parser.calls(), 1);
  const std::vector<ReplyEvent> end{{.kind = Kind::call_arguments, .text = "ul\"}", .call = 0},
                                    {.kind = Kind::call_end, .call = 0}};
  EXPECT_EQ(parser.push("ul\"}}\n</tool_"), end);
  EXPECT_TRUE(parser.push("call>\n").empty());
  EXPECT_TRUE(parser.finish().empty());
}

// Replies put together from what forms are made of: nothing is lost, and the cuts change nothing.
TEST(ReplyParser, AnythingIsTheSameHoweverItIsCut) {
  const std::vector<std::string> parts{"{\"name\": \"now\", \"parameters\": {\"a\": 1}}",
                                       "<tool_call>{\"arguments\": {}, \"name\": \"now\"}",
                                       "<tool_call>\n<function=now>\n<parameter=a>\nb\n",
                                       "[TOOL_CALLS]now[ARGS]{\"a\": [1]",
                                       "<|channel|>commentary to=functions.now<|message|>{",
                                       "<tool_call>",
                                       "</tool_call>",
                                       "{\"name\": \"now\"",
                                       ", \"arguments\": ",
                                       "{}",
                                       "}",
                                       "\n",
                                       " ",
                                       "<function=now>",
                                       "<parameter=city>",
                                       "</parameter>",
                                       "</function>",
                                       "[TOOL_CALLS]",
                                       "[",
                                       "]",
                                       "now",
                                       "[ARGS]",
                                       "{\"a\": \"b",
                                       "\"}",
                                       "<|python_tag|>",
                                       ";",
                                       "<think>",
                                       "</think>",
                                       "<|channel|>",
                                       "final",
                                       "<|message|>",
                                       "<|end|>",
                                       " to=functions.now",
                                       "x",
                                       "<",
                                       "서",
                                       "\"parameters\": "};
  std::mt19937 random(11);
  int calls = 0;
  for (int round = 0; round < 4000; ++round) {
    const auto syntax = static_cast<CallSyntax>(random() % 7);
    const bool channels = syntax == CallSyntax::channels;
    const ReplyParserOptions options{
        .form = form(syntax, channels ? ReasoningSyntax::channels : ReasoningSyntax::think), .tools = kTools};
    std::string reply;
    for (auto n = 1 + random() % 12; n > 0; --n) reply += parts[random() % parts.size()];
    std::vector<std::size_t> bytes(reply.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = i + 1;
    const std::vector<ReplyEvent> whole = parsed(options, reply, {});
    ASSERT_EQ(written(parsed(options, reply, bytes)), written(whole))
        << reply << "\nsyntax " << static_cast<int>(syntax);
    std::string arguments;
    for (const ReplyEvent& event : whole) {
      if (event.kind == Kind::call_begin) arguments.clear();
      if (event.kind == Kind::call_arguments) arguments += event.text;
      if (event.kind != Kind::call_end || event.incomplete) continue;
      ++calls;
      EXPECT_TRUE(nlohmann::json::parse(arguments, nullptr, false).is_object()) << reply << "\n" << arguments;
    }
  }
  EXPECT_GT(calls, 100);
}

// A megabyte of each kind takes no time to speak of.
TEST(ReplyParser, LongRepliesTakeLinearTime) {
  for (const std::string unit :
       {"x ", "<", "<tool_call>", "\n", "<tool_call>{\"a\": \"", "[TOOL_CALLS]", "{\"a\":"}) {
    std::string reply;
    while (reply.size() < (1U << 20)) reply += unit;
    for (const CallSyntax calls : {CallSyntax::xml, CallSyntax::mistral_args, CallSyntax::llama}) {
      ReplyParser parser({.form = form(calls), .tools = kTools});
      std::size_t shown = 0;
      const auto count = [&](const std::vector<ReplyEvent>& events) {
        for (const ReplyEvent& event : events) shown += event.text.size();
      };
      for (std::size_t at = 0; at < reply.size(); at += 4) count(parser.push(reply.substr(at, 4)));
      count(parser.finish());
      EXPECT_GE(shown + 16, reply.size()) << unit;
    }
  }
}

}  // namespace
}  // namespace llamajit::reply_parser_test
