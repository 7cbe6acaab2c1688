// Our templates held against Jinja itself (python3-jinja2): the formats of known models, and expressions of
// every kind, one template a line.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "runtime/jinja/json_value.h"
#include "runtime/jinja/template.h"
#include "runtime/jinja/text.h"
#include "tests/support/jinja2_rendering.h"

namespace llamajit::test::against_jinja2_test {
namespace {

using Json = nlohmann::ordered_json;

const std::string kGolden = LLAMAJIT_SOURCE_DIR "/tests/golden";

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Json ours(const Json& test) {
  try {
    const jinja::Template compiled(test["template"].get<std::string>(), "template");
    const jinja::Value variables = jinja::parse_json(test["variables"].dump(), "variables");
    return {{"text", compiled.render(*variables.dict(), {}, [] { return std::time_t{1700000000}; })}};
  } catch (const std::runtime_error& error) {
    return {{"error", error.what()}};
  }
}

void expect_as_jinja(const Json& tests) {
  const std::optional<Json> rendered = rendered_by_jinja2(tests);
  if (!rendered) GTEST_SKIP() << "no python3 with jinja2 (Debian's python3-jinja2)";
  const Json& theirs = *rendered;
  for (std::size_t i = 0; i < tests.size(); ++i) {
    const Json mine = ours(tests[i]);
    const std::string what = tests[i].value("name", "") + "\n" + tests[i]["template"].get<std::string>();
    if (theirs[i].contains("error")) {
      EXPECT_TRUE(mine.contains("error")) << what << "\nJinja: " << theirs[i]["error"] << "\nhere: " << mine;
    } else {
      EXPECT_EQ(mine.value("text", mine.dump()), theirs[i]["text"].get<std::string>()) << what;
    }
  }
}

Json message(const char* role, const char* content) {
  return {{"role", role}, {"content", content}};
}

// Conversations as chats have them, and some that templates refuse.
std::vector<Json> conversations() {
  const Json system = message("system", "You are helpful.\nBe brief. ");
  const Json user = message("user", " 안녕하세요? <b>'quoted'</b> ");
  const Json assistant = message("assistant", "<think>\nhm\n</think>\n\nHello \xF0\x9F\x98\x80\n");
  const Json tool = {{"type", "function"},
                     {"function",
                      {{"name", "weather"},
                       {"description", "It tells the \"weather\""},
                       {"parameters",
                        {{"type", "object"},
                         {"properties", {{"city", {{"type", "string"}, {"description", "where"}}}}},
                         {"required", {"city"}}}}}}};
  const Json call = {{"role", "assistant"},
                     {"content", ""},
                     {"tool_calls",
                      {{{"type", "function"},
                        {"id", "abcdefghi"},
                        {"function", {{"name", "weather"}, {"arguments", {{"city", "서울"}}}}}}}}};
  std::vector<Json> all;
  for (const bool prompt : {true, false}) {
    for (const Json& messages :
         {Json{user}, Json{system, user}, Json{user, assistant, user}, Json{system, user, assistant, user},
          Json{system, user, assistant}, Json{user, user}, Json{assistant}, Json{system}, Json::array(),
          Json{user, call, message("tool", "{\"sun\": 1}"), assistant, user}}) {
      all.push_back({{"messages", messages},
                     {"bos_token", "<s>"},
                     {"eos_token", "</s>"},
                     {"tools", nullptr},
                     {"add_generation_prompt", prompt}});
      if (messages.size() < 3) continue;
      all.push_back(all.back());
      all.back()["tools"] = {tool};
      all.back()["enable_thinking"] = false;
    }
  }
  return all;
}

// Each template of the folder with each conversation.
void expect_conversations_as_jinja(const std::string& folder) {
  int templates = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().extension() != ".jinja") continue;
    Json tests = Json::array();
    for (const Json& variables : conversations()) {
      tests.push_back({{"name", file.path().filename().string() + " " + variables.dump()},
                       {"template", content_of(file.path())},
                       {"variables", variables}});
    }
    expect_as_jinja(tests);
    ++templates;
  }
  ASSERT_GT(templates, 0) << folder << ": expected files *.jinja";
}

TEST(AgainstJinja2, TheFormatsOfKnownModels) {
  expect_conversations_as_jinja(kGolden + "/templates");
}

// Of a folder outside of the project, where there is one: tools/dev/compare-templates names it.
TEST(AgainstJinja2, TemplatesOfAnotherFolder) {
  const char* const folder = std::getenv("LLAMAJIT_TEMPLATES");
  if (folder == nullptr) GTEST_SKIP() << "LLAMAJIT_TEMPLATES names no folder of templates";
  expect_conversations_as_jinja(folder);
}

TEST(AgainstJinja2, ExpressionsOfEveryKind) {
  Json tests = Json::array();
  std::istringstream lines(content_of(kGolden + "/expressions.txt"));
  Json variables = conversations()[2];
  variables["large"] = UINT64_MAX;
  for (std::string line; std::getline(lines, line);) {
    tests.push_back({{"template", line}, {"variables", variables}});
  }
  ASSERT_GT(tests.size(), 50U);
  expect_as_jinja(tests);
}

// Each letter of the scripts that have cases, alone and within a word. Not the Greek ones with an iota below, whose upper
// case has another letter; modifiers, which begin no word for Python; and "\u0149", a title of its own.
TEST(AgainstJinja2, LettersInUpperAndLowerCase) {
  constexpr std::pair<char32_t, char32_t> kScripts[] = {{0x41, 0x5A},     {0x61, 0x7A},      {0xBB, 0x148},
                                                        {0x14A, 0x24F},   {0x386, 0x587},    {0x10A0, 0x10FF},
                                                        {0x1E00, 0x1F7D}, {0x2160, 0x217F},  {0x24B6, 0x24E9},
                                                        {0xFB00, 0xFB17}, {0x10400, 0x1044F}};
  std::string words;
  for (const auto& [first, last] : kScripts) {
    for (char32_t c = first; c <= last; ++c) {
      const jinja::String letter = jinja::utf8_of(c);
      words += fmt::format("{0} a{0}b. {0}{0}:", std::string_view(letter));
    }
  }
  Json tests = Json::array();
  for (const char* const change :
       {"{{ s | upper }}", "{{ s | lower }}", "{{ s | title }}", "{{ s | capitalize }}", "{{ s.title() }}",
        "{{ s.swapcase() }}",
        "{% for c in s %}{{ c.isalpha() }}{{ c is lower }}{{ c is upper }} {% endfor %}"}) {
    tests.push_back({{"template", change}, {"variables", {{"s", words}}}});
  }
  for (const char* const word : {"ΟΔΟΣ", "ΣΑΣ ΣΑΣ.", "İstanbul", "straße", "ﬁne", "서울 Ünïcode"}) {
    tests.push_back({{"template", "{{ s.upper() }} {{ s.lower() }} {{ s.capitalize() }} {{ s.title() }}"},
                     {"variables", {{"s", word}}}});
  }
  expect_as_jinja(tests);
}

// Long conversations: values that are gone do not count against the limit.
TEST(AgainstJinja2, FourHundredTurnsPutTogetherBitByBit) {
  Json messages = Json::array();
  for (int i = 0; i < 400; ++i) {
    messages.push_back(message(i % 2 == 0 ? "user" : "assistant", std::string(2000, 'x').c_str()));
  }
  expect_as_jinja(
      Json::array({{{"template",
                     "{% set ns = namespace(t='') %}{% for m in messages %}"
                     "{% set ns.t = ns.t + m.role + ': ' + m.content + '<sep>' %}{% endfor %}{{ ns.t }}"},
                    {"variables", {{"messages", messages}}}}}));
}

// Each tag with each sign, at the beginning of a line, indented, and behind text.
TEST(AgainstJinja2, BlanksAroundTags) {
  Json tests = Json::array();
  for (const std::string tag : {"% if true %", "% set x = 1 %", "# note #", "{ 'v' }"}) {
    for (const std::string before : {"", "a", "a\n", "a\n  ", "a  ", "\n\n", "  ", "a\r\n\t"}) {
      for (const std::string after : {"", "b", "\nb", "\n\nb", "  \nb", "  b", "\r\nb", "\n"}) {
        for (const std::string left : {"", "-", "+"}) {
          for (const std::string right : {"", "-", "+"}) {
            if (tag[0] == '{' && (left == "+" || right == "+")) continue;  // those are signs of the value
            const std::string inner = tag.substr(1, tag.size() - 2);
            const std::string whole = before + "{" + tag[0] + left + inner + right + tag.back() + "}" + after;
            tests.push_back({{"template", tag[2] == 'i' ? whole + "{% endif %}\n" : whole + "\n"},
                             {"variables", Json::object()}});
          }
        }
      }
    }
  }
  expect_as_jinja(tests);
}

}  // namespace
}  // namespace llamajit::test::against_jinja2_test
