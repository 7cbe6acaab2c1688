// Chat templates: the named ones word for word, and what no template may do.
#include "runtime/chat/chat_template.h"

#include <functional>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llamajit::chat_template_test {
namespace {

using ::testing::HasSubstr;

const std::vector<Message> kTurns{{"system", "S"}, {"user", "U1"}, {"assistant", "A1"}, {"user", "U2"}};
const std::vector<Message> kQuestion{{"user", "U1"}};

std::string rendered(std::string_view name, const std::vector<Message>& messages) {
  return ChatTemplate(*find_named_template(name)).render(messages, "<s>", "</s>");
}

TEST(NamedTemplates, AreTheTrainedFormatsWordForWord) {
  EXPECT_EQ(
      rendered("alpaca", kQuestion),
      "Below is an instruction that describes a task. Write a response that appropriately completes the "
      "request.\n\n### Instruction:\n\nU1\n\n### Response:\n\n");
  EXPECT_EQ(
      rendered("alpaca", kTurns),
      "S\n\n### Instruction:\n\nU1\n\n### Response:\n\nA1\n\n### Instruction:\n\nU2\n\n### Response:\n\n")
      << "the sentences at the beginning come once";
  EXPECT_EQ(
      rendered("koalpaca", kTurns),
      "S\n\n### Instruction(명령어):\nU1\n\n### Response(응답):A1\n\n### Instruction(명령어):\nU2\n\n### "
      "Response(응답):");
  EXPECT_THAT(rendered("koalpaca", kQuestion),
              ::testing::StartsWith("Below is an instruction that describes a task.\n아래는 작업을 설명하는 "
                                    "명령어입니다.\n\n"));
  EXPECT_EQ(rendered("koalpaca-polyglot", kQuestion), "### 질문: U1\n\n### 답변:");
  EXPECT_EQ(rendered("llama2", kTurns),
            "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU1 [/INST] A1 </s><s>[INST] U2 [/INST]");
  EXPECT_EQ(
      rendered("llama3", kTurns),
      "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>"
      "\n\nU1<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA1<|eot_id|><|start_header_id|>"
      "user<|end_header_id|>\n\nU2<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(rendered("chatml", kQuestion), "<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(rendered("mistral", kTurns), "<s>[INST] S\n\nU1 [/INST]A1</s>[INST] U2 [/INST]");
  EXPECT_EQ(rendered("gemma", kTurns),
            "<s><start_of_turn>user\nS\n\nU1<end_of_turn>\n<start_of_turn>model\nA1<end_of_turn>\n"
            "<start_of_turn>user\nU2<end_of_turn>\n<start_of_turn>model\n");
  EXPECT_EQ(rendered("phi3", kQuestion), "<|user|>\nU1<|end|>\n<|assistant|>\n");
  EXPECT_EQ(rendered("zephyr", kTurns),
            "<|system|>\nS</s>\n<|user|>\nU1</s>\n<|assistant|>\nA1</s>\n<|user|>\nU2</s>\n<|assistant|>\n");
}

TEST(NamedTemplates, WhatIsSaidIsNeverATemplate) {
  const std::string attack = "{{ 7 * 7 }}{% for x in range(9) %}x{% endfor %}";
  for (const NamedTemplate& named : named_templates()) {
    const std::vector<Message> said{{"user", attack}};
    EXPECT_THAT(rendered(named.name, said), HasSubstr(attack)) << named.name;
  }
}

std::string outcome(const std::string& source, const jinja::Limits& limits = {}) {
  try {
    jinja::Dict variables;
    variables.set("messages", jinja::List{{jinja::Dict{{{"role", "user"}, {"content", "hi"}}}}});
    return "text: " + jinja::Template(source, "t").render(variables, limits);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

// Ways out of the sandbox that have been tried on Jinja (CVE-2024-34359).
TEST(HostileTemplates, FindNoWayOut) {
  for (const char* source :
       {"{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ messages.__init__.__globals__ }}",
        "{{ self.__init__.__globals__['os'].popen('id').read() }}", "{{ cycler.__init__.__globals__.os }}",
        "{% include '/etc/passwd' %}", "{% import 'os' as os %}", "{% extends 'x' %}",
        "{{ open('/etc/passwd') }}", "{{ range.__call__ }}{{ range.x.y }}",
        "{{ ('a' | attr('__class__')).x }}"}) {
    EXPECT_THAT(outcome(source), ::testing::StartsWith("t: line 1: ")) << source;
  }
}

TEST(HostileTemplates, EndSoon) {
  // Appended, as GCC 12 warns of what it takes string + string for.
  const auto repeated = [](char open, const std::string& end) {
    return std::string("{{ ").append(100000, open).append(end);
  };
  std::string row = "{{ 1";
  std::string chain = "{{ 'a'";
  std::string blocks;
  for (int i = 0; i < 100000; ++i) {
    row += " + 1";
    chain += " | upper";
    blocks += "{% if 1 %}";
  }
  for (const std::string& source : std::vector<std::string>{
           "{% for a in range(10000000000) %}{% endfor %}",
           "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
           "{{ 'x' * 10000000000 }}",
           "{{ [1] * 10000000000 }}",
           "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
           "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
           "{% set ns = namespace(s=[]) %}{% for i in range(100) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}",
           "{% set ns = namespace(s=[]) %}{% for i in range(50) %}{% set ns.s = [ns.s, ns.s] %}{% endfor "
           "%}{{ ns.s }}",
           "{% set ns = namespace(s=[]) %}{% for i in range(50) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}"
           "{{ ns.s | tojson(indent=1) }}",
           "{% set ns = namespace(s=[], t=[]) %}{% for i in range(50) %}{% set ns.s = [ns.s, ns.s] %}"
           "{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.s == ns.t }}",
           "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
           "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
           "{% for i in range(1000000) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' }}{% endfor %}",
           "{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}",
           "{{ 9223372036854775807 + 1 }}",
           "{{ 2 ** 64 }}",
           "{{ 10 ** 100000000000 }}",
           "{{ (0 - 9223372036854775807 - 1) // -1 }}",
           repeated('(', ""),
           repeated('[', std::string(100000, ']')),
           repeated('-', "1 }}"),
           row.append(" }}"),
           chain.append(" }}"),
           blocks,
           std::string(2 << 20, 'x')}) {
    const std::string what =
        outcome(source, {.steps = 500000, .bytes = 16 << 20, .work = 1 << 28, .output = 1 << 20});
    EXPECT_THAT(what, ::testing::StartsWith("t: line 1: ")) << source.substr(0, 100);
    EXPECT_THAT(what, HasSubstr("expected")) << source.substr(0, 100);
  }
  EXPECT_EQ(outcome("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns.me.me.me is defined }}"),
            "text: True");
}

// What is gone does not count against the limit of what is there, but what it took to make it does.
TEST(HostileTemplates, ValuesCountWhileTheyAreThere) {
  const std::string source = "{% for i in range(1000) %}{% set x = 'x' * 100000 %}{% endfor %}done";
  EXPECT_EQ(outcome(source, {.bytes = 4 << 20}), "text: done");
  EXPECT_THAT(outcome(source, {.bytes = 4 << 20, .work = 1 << 26}),
              HasSubstr("bytes one after another, found more"));
  EXPECT_THAT(outcome("{% set ns = namespace(s=[]) %}{% for i in range(1000) %}"
                      "{% set ns.s = ns.s + ['x' * 10000 ~ i] %}{% endfor %}",
                      {.bytes = 4 << 20}),
              HasSubstr("bytes together, found more"));
}

TEST(ChatTemplates, BlankOnesAreNone) {
  for (const char* blank : {"", " ", "\r\n\t "}) EXPECT_TRUE(is_blank_template(blank));
  for (const char* source : {"x", " {{ 1 }}"}) EXPECT_FALSE(is_blank_template(source));
}

TEST(HostileTemplates, ErrorsNameTheLine) {
  EXPECT_EQ(outcome("\n\n{{ messages.x.y }}"),
            "t: line 3: 'x': expected a value with 'y', found an undefined value");
  EXPECT_EQ(outcome("a\n{% if %}"), "t: line 2: expected a value, found '%}'");
  EXPECT_EQ(outcome("{% for x in y %}\n"),
            "t: line 1: expected {% else %} or {% endfor %}, found the template's end");
  EXPECT_EQ(outcome("{{ 'a' | nope }}"),
            "t: line 1: filter: expected one that templates here have, found 'nope'");
  EXPECT_EQ(outcome("{{ 1 + 'a' }}"),
            "t: line 1: operator: expected values that go together, found an integer and a string");
  EXPECT_EQ(outcome("{{ raise_exception('no \x1B[31m') }}"), "t: line 1: the template says: no \\x1B[31m");
}

TEST(HostileTemplates, ErrorsSayWhatWasExpectedAndFound) {
  const std::pair<const char*, const char*> refused[] = {
      {"'a'.split('')", "split: expected a separator, found an empty string"},
      {"'a'.rsplit('')", "rsplit: expected a separator, found an empty string"},
      {"'a'.startswith(['a'])", "startswith: expected a string or a tuple of them, found a list"},
      {"'a'.startswith((1,))", "startswith: expected a tuple of strings, found an integer"},
      {"','.join([1])", "join: expected strings, found an integer"},
      {"[1].index(2)", "index: expected a value of the list, found another"},
      {"1 // 0", "arithmetic: expected a divisor, found 0"},
      {"1.5 % 0", "arithmetic: expected a divisor, found 0"},
      {"9223372036854775807 * 2", "arithmetic: expected an integer of 64 bits, found a larger one"},
      {"9223372036854775808 + 1",
       "arithmetic: expected integers of 64 bits, found an integer of more than 64 bits and an integer"},
      {"range(9223372036854775808)",
       "range: expected an integer as 'stop', found an integer of more than 64 bits"},
      {"'0x10000000000000000' | int(base=16)", "int: expected an integer of 64 bits, found a larger one"},
      {"[1, 2] | random",
       "random: expected at most one element, as a text that chance decides can't be had again, found 2"},
      {"[] | abs", "abs: expected a number, found a list"},
      {"-'a'", "minus: expected a number, found a string"},
      {"+'a'", "plus: expected a number, found a string"},
      {"'abc'[::0]", "slice: expected a step, found 0"},
      {"'abc'['a':]", "slice: expected an integer, found a string"},
      {"1[:2]", "slice: expected a list or a string, found an integer"},
      {"range(1, 2, 0)", "range: expected a step, found 0"},
      {"{[1]: 2}", "dictionary: expected a key that can't change, found a list"},
      {"1 in 'a'", "in: expected a string in a string, found an integer"},
      {"1 in 2", "in: expected a list, a string or a dictionary, found an integer"},
      {"'a' < 1", "comparison: expected two numbers, strings or lists, found a string and an integer"},
      {"range | tojson", "tojson: expected a value that JSON has, found a function"},
      {"[1] | tojson(separators=(1, 2))", "tojson: expected two strings as 'separators', found a list"},
      {"strftime_now('x' * 201)", "strftime_now: expected a format of at most 200 bytes, found 201"},
      {"strftime_now()", "strftime_now: expected an argument 'format', found none"},
      {"dict(1)", "dict: expected a dictionary or pairs, found an integer"},
  };
  for (const auto& [expression, error] : refused) {
    EXPECT_EQ(outcome(fmt::format("{{{{ {} }}}}", expression)), fmt::format("t: line 1: {}", error));
  }
  EXPECT_EQ(outcome("{% for x in 1 %}{% endfor %}"),
            "t: line 1: loop: expected a list, a string or a dictionary, found an integer");
}

// Templates with bytes changed, removed and put in: a text or an error, never anything else.
TEST(HostileTemplates, DamagedOnesAreTextsOrErrors) {
  std::mt19937 random(7);
  const std::string signs = "{%}#-+|.()[]'\"\\ \n,:=ifor0_~*/<>x\xED";
  const jinja::Limits limits{.steps = 20000, .bytes = 1 << 20, .output = 1 << 16};
  int texts = 0;
  for (int round = 0; round < 4000; ++round) {
    const auto named = named_templates()[random() % named_templates().size()];
    std::string source(named.source);
    for (unsigned edits = 1 + random() % 4; edits > 0; --edits) {
      const std::size_t at = random() % source.size();
      const char sign = signs[random() % signs.size()];
      switch (random() % 3) {
        case 0:
          source[at] = sign;
          break;
        case 1:
          source.erase(at, 1 + random() % 10);
          break;
        default:
          source.insert(at, 1, sign);
      }
      if (source.empty()) source.push_back(signs[0]);
    }
    const std::string what = outcome(source, limits);
    texts += what.starts_with("text: ") ? 1 : 0;
    EXPECT_TRUE(what.starts_with("text: ") || what.starts_with("t: line ")) << source;
  }
  EXPECT_GT(texts, 400);
  EXPECT_LT(texts, 3600);
}

}  // namespace
}  // namespace llamajit::chat_template_test
