// What a grammar may cost to be made ready, counted in steps: so nothing here depends on a clock.
#include "runtime/grammar/compile_work.h"

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "runtime/grammar/gbnf.h"
#include "runtime/grammar/grammar_state.h"
#include "runtime/grammar/json_schema.h"
#include "tests/runtime/grammar/schemas.h"

namespace llamajit::compile_work_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Json = nlohmann::ordered_json;

std::string times(std::string_view text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

void expect_too_much_work(const std::function<void()>& compile, const std::string& reason) {
  EXPECT_THAT(compile, ThrowsMessage<std::runtime_error>(AllOf(
                           HasSubstr("g: expected less work to compile than 60000000 steps, found more"),
                           HasSubstr(reason))));
}

bool is_text(const std::string& grammar, std::string_view text) {
  GrammarState state(parse_gbnf(grammar, "g"));
  return state.accept(text) && state.may_end();
}

TEST(CompileWork, CountsAndRefuses) {
  CompileWork work("g");
  work.charge(CompileWork::kMaxSteps, "this");
  EXPECT_EQ(work.steps(), CompileWork::kMaxSteps);
  expect_too_much_work([&] { work.charge(1, "that"); }, "the last of them were for that");
  work.hold(CompileWork::kMaxBytes, "this");
  EXPECT_THAT([&] { work.hold(1, "that"); },
              ThrowsMessage<std::runtime_error>(
                  HasSubstr("g: expected less memory to compile than 201326592 bytes, found more")));
}

// Each is short, and would take from seconds to minutes without the bound.
TEST(CompileWork, ShortGrammarsThatTakeLongAreRefused) {
  const std::string sets = "sets of positions that the same text leads to";
  for (const std::string_view body : {R"(("a"? "b"? "c"?){0,30000})", R"(([^x]? [a-y]?){0,10000})"}) {
    expect_too_much_work([&] { parse_gbnf(fmt::format("root ::= {}", body), "g"); }, sets);
  }
  std::string optional;
  for (int i = 0; i < 5000; ++i) optional += fmt::format("\"{}\"? ", static_cast<char>('a' + i % 26));
  expect_too_much_work([&] { parse_gbnf("root ::= " + optional, "g"); }, sets);
  expect_too_much_work([&] { parse_gbnf("root ::= [" + times("abcdefghij", 50'000) + "]{100000}", "g"); },
                       "its repetitions and classes, written out");
  EXPECT_THAT([&] { parse_gbnf("root ::= (\"\"" + times(" | \"\"", 100'000) + "){50000}", "g"); },
              ThrowsMessage<std::runtime_error>(HasSubstr("expected less memory to compile")));
}

TEST(CompileWork, ShortSchemasThatTakeLongAreRefused) {
  const auto pattern = [](const std::string& text) { return Json{{"type", "string"}, {"pattern", text}}; };
  const std::string sets = "sets of positions that the same text leads to";
  expect_too_much_work([&] { compile_json_schema(pattern("^(\\w{1,9999}\\d?){1,9}$"), "g"); }, sets);
  Json branches = Json::array();
  for (int k = 0; k < 200; ++k) {
    Json values = Json::array();
    for (int i = 0; i < 75; ++i) values.push_back(fmt::format("value{}", k * 100 + i));
    branches.push_back({{"enum", values}});
  }
  expect_too_much_work(
      [&] {
        compile_json_schema({{"oneOf", branches}}, "g");
      },
      "schemas that hold together, or must exclude each other");
  Json names = Json::array();
  for (int i = 0; i < 16'300; ++i) names.push_back(fmt::format("r{}", i));
  expect_too_much_work(
      [&] {
        compile_json_schema({{"type", "object"}, {"required", names}}, "g");
      },
      "schemas that are read");
}

// Bounds that hold before anything is made of a text.
TEST(CompileWork, SchemasAreRefusedAsTheyAreRead) {
  const auto refused = [](const std::string& text, const std::string& part) {
    EXPECT_THAT([&] { parse_json_schema(text, "g"); }, ThrowsMessage<std::runtime_error>(HasSubstr(part)));
  };
  refused(fmt::format("\"{}\"", std::string(2 << 20, 'x')),
          "g: expected a schema of at most 1048576 bytes, found more");
  refused(times("[", 500'000), "g: expected at most 300 levels of JSON, found more");
  std::string keys = R"({"enum":[{"k":1)";
  for (int i = 0; i < 60'000; ++i) keys += fmt::format(R"(,"k{}":1)", i);
  refused(keys, "g: expected a schema of at most 16384 values, found more");
  // A key of which each character would be a copy of the rest, and a path that each property would have a copy of.
  refused(Json{{"properties", {{std::string(900'000, 'k'), true}}}, {"additionalProperties", true}}.dump(),
          "g: expected at most 16384 rules, found more");
  Json properties = Json::object();
  for (int i = 0; i < 5000; ++i) properties[fmt::format("p{}", i)] = {{"items", true}};
  refused(Json{{"properties", {{std::string(500'000, 'k'), {{"properties", properties}}}}}}.dump(),
          "g: expected less memory to compile than 201326592 bytes");
}

// Repetitions of repetitions are written out once where they come to the same.
TEST(CompileWork, NestedRepetitionsOfOnePartTakeNoMoreThanOne) {
  const auto nested = parse_gbnf(R"(root ::= ("a"{1,100}){1,100})", "g");
  const auto flat = parse_gbnf(R"(root ::= "a"{1,10000})", "g");
  EXPECT_EQ(nested->nodes(), flat->nodes());
  EXPECT_LT(nested->compile_steps(), CompileWork::kMaxSteps / 20);
  for (const int n : {1, 2, 99, 101, 9999, 10'000}) {
    EXPECT_TRUE(is_text(R"(root ::= ("a"{1,100}){1,100})", std::string(static_cast<std::size_t>(n), 'a')))
        << n;
  }
  EXPECT_FALSE(is_text(R"(root ::= ("a"{1,100}){1,100})", std::string(10'001, 'a')));
}

// All pairs of small repetitions, against counts that are added up.
TEST(CompileWork, NestedRepetitionsHaveTheirCounts) {
  const auto braces = [](int min, int max) {
    return max < 0 ? fmt::format("{{{},}}", min) : fmt::format("{{{},{}}}", min, max);
  };
  constexpr int kMost = 13;
  for (int inner_min = 0; inner_min <= 3; ++inner_min) {
    for (int inner_max : {-1, 0, 1, 2, 3, 4}) {
      if (inner_max >= 0 && inner_max < inner_min) continue;
      for (int min = 0; min <= 3; ++min) {
        for (int max : {-1, 0, 1, 2, 3}) {
          if (max >= 0 && max < min) continue;
          const std::string grammar =
              fmt::format(R"(root ::= ("a"{}){})", braces(inner_min, inner_max), braces(min, max));
          const GrammarState begin(parse_gbnf(grammar, "g"));
          for (int n = 0; n <= kMost; ++n) {
            bool expected = false;
            for (int k = min; k <= (max < 0 ? kMost + min : max); ++k) {
              expected =
                  expected || (n >= k * inner_min && (k > 0 ? inner_max < 0 || n <= k * inner_max : n == 0));
            }
            GrammarState state = begin;
            const bool found = state.accept(std::string(static_cast<std::size_t>(n), 'a')) && state.may_end();
            EXPECT_EQ(found, expected) << grammar << " " << n;
          }
        }
      }
    }
  }
}

// A property's schema, of the kinds that come most.
Json property(int i) {
  switch (i % 6) {
    case 0:
      return {{"type", "string"}, {"description", "what it is"}};
    case 1:
      return {{"type", "integer"}, {"minimum", 0}, {"maximum", 1000 + i}};
    case 2:
      return {{"type", "number"}};
    case 3:
      return {{"type", "string"}, {"enum", {"red", "green", "blue"}}};
    case 4:
      return {{"type", "array"}, {"items", {{"type", "string"}, {"format", "date-time"}}}, {"maxItems", 10}};
    default:
      return {{"type", {"string", "null"}}, {"maxLength", 100}};
  }
}

// `count` properties, of which one is such an object again.
Json object(int count, int depth) {
  Json properties = Json::object(), required = Json::array();
  for (int i = 0; i < count; ++i) {
    const std::string name = fmt::format("property_{}_{}", depth, i);
    if (i % 2 == 1) required.push_back(name);
    properties[name] = depth > 1 && i == count / 2 ? object(count, depth - 1) : property(i);
  }
  return {{"type", "object"},
          {"properties", properties},
          {"required", required},
          {"additionalProperties", false}};
}

// Types that refer to one another, each alone or with what a base has, as API descriptions have them.
Json api(int count) {
  Json types = Json::object(), any = Json::array();
  types["Base"] = {{"type", "object"},
                   {"properties", {{"id", {{"type", "string"}, {"format", "uuid"}}}}},
                   {"required", {"id"}}};
  for (int k = 0; k < count; ++k) {
    Json properties = {{"kind", {{"const", fmt::format("Type{}", k)}}}};
    for (int i = 0; i < 12; ++i) {
      const Json other = {{"$ref", fmt::format("#/$defs/Type{}", (k * 7 + i) % count)}};
      const Json list = {{"type", "array"}, {"items", other}};
      properties[fmt::format("field{}", i)] = i % 5 == 4 ? other : i % 5 == 3 ? list : property(k + i);
    }
    const Json type = {{"type", "object"}, {"properties", properties}, {"required", {"kind"}}};
    types[fmt::format("Type{}", k)] =
        k % 2 == 0 ? type : Json{{"allOf", Json::array({{{"$ref", "#/$defs/Base"}}, type})}};
    any.push_back({{"$ref", fmt::format("#/$defs/Type{}", k)}});
  }
  return {{"anyOf", any}, {"$defs", types}};
}

TEST(CompileWork, LargeSchemasThatAreMeantTakeAFractionOfIt) {
  for (const std::string_view schema : test::kSchemas) {
    EXPECT_LT(parse_json_schema(schema, "s")->compile_steps(), CompileWork::kMaxSteps / 200) << schema;
  }
  const auto steps = [](const Json& schema) { return compile_json_schema(schema, "s")->compile_steps(); };
  EXPECT_LT(steps(object(200, 5)), CompileWork::kMaxSteps / 5);
  EXPECT_LT(steps(api(120)), CompileWork::kMaxSteps / 3);
  Json cities = Json::array();
  for (int i = 0; i < 5000; ++i) cities.push_back(fmt::format("city of {} number {}", i * 7919 % 10'007, i));
  EXPECT_LT(steps({{"type", "object"}, {"properties", {{"city", {{"enum", cities}}}}}}),
            CompileWork::kMaxSteps / 4);
}

}  // namespace
}  // namespace llamajit::compile_work_test
