// Strings that have to be as several keywords want them at once, as the schemas have them that OpenAI's client makes
// of Zod's and Pydantic's types.
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "runtime/grammar/compile_work.h"
#include "runtime/grammar/grammar_state.h"
#include "runtime/grammar/json_schema.h"
#include "tests/runtime/grammar/schema_texts.h"

namespace llamajit::json_strings_test {
namespace {

using test::is_text;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Json = nlohmann::ordered_json;
using Texts = std::vector<std::string>;

// Values of strings, which JSON writes in quotation marks.
void expect_strings(const Json& schema, const Texts& strings, const Texts& others) {
  const GrammarState begin(compile_json_schema(schema, "s"));
  for (const std::string& value : strings)
    EXPECT_TRUE(is_text(begin, Json(value).dump())) << schema << ": " << value;
  for (const std::string& value : others)
    EXPECT_FALSE(is_text(begin, Json(value).dump())) << schema << ": " << value;
}

void expect_refused(const Json& schema, const std::string& part) {
  EXPECT_THAT([&] { compile_json_schema(schema, "s"); }, ThrowsMessage<std::runtime_error>(HasSubstr(part)))
      << schema;
}

TEST(JsonStrings, HaveAPatternAndALength) {
  expect_strings({{"pattern", "^a+$"}, {"minLength", 2}, {"maxLength", 4}}, {"aa", "aaaa"},
                 {"", "a", "aaaaa", "ab"});
  expect_strings({{"pattern", "b"}, {"maxLength", 3}}, {"b", "abc", "한b글", "\n\"b"}, {"", "abcd", "xyz"});
  expect_strings({{"pattern", "^[가-힣é\"]*$"}, {"minLength", 2}, {"maxLength", 2}}, {"한글", "é\"", "\"\""},
                 {"한", "한글은", "ab"});
}

TEST(JsonStrings, HaveAPatternAndAFormat) {
  expect_strings({{"format", "date"}, {"pattern", "^2024-"}}, {"2024-12-31"}, {"2023-12-31", "2024-13-01"});
  expect_strings({{"format", "date-time"}, {"pattern", "T12:.*Z$"}, {"maxLength", 20}},
                 {"2024-01-01T12:00:00Z"},
                 {"2024-01-01T12:00:00.5Z", "2024-01-01T13:00:00Z", "2024-01-01T12:00:00+01:00", "T12:Z"});
}

TEST(JsonStrings, HaveAllPatternsThatHoldTogether) {
  const Json both = {{"allOf", Json::array({{{"pattern", "^ab.*"}}, {{"pattern", ".*c\\.d$"}}})}};
  expect_strings(both, {"abc.d", "ab-c.d"}, {"ab", "c.d", "bc.d", "abc.dd"});
  // Texts that both have a part of.
  expect_strings({{"allOf", Json::array({{{"pattern", "^aba"}}, {{"pattern", "aba$"}}, {{"pattern", "b"}}})}},
                 {"aba", "ababa", "abaaba"}, {"ab", "abab", "baba"});
  expect_strings({{"pattern", "a"}, {"anyOf", Json::array({{{"pattern", "b"}}, {{"pattern", "c"}}})}},
                 {"ab", "ca", "abc"}, {"a", "bc"});
  expect_strings({{"$defs", {{"word", {{"type", "string"}, {"pattern", "^\\w+$"}}}}},
                  {"$ref", "#/$defs/word"},
                  {"pattern", "\\d"},
                  {"maxLength", 3}},
                 {"a1", "1", "ab1"}, {"abc", "abc1", "1!"});
  expect_strings(
      {{"allOf", Json::array({{{"format", "date"}}, {{"format", "date"}}, {{"pattern", "-01$"}}})}},
      {"2024-02-01"}, {"2024-02-02"});
}

// Whatever can be begun can be ended: a model that is held to the texts never stands where nothing goes on.
TEST(JsonStrings, BeginOnlyWhatCanEnd) {
  const GrammarState begin(
      compile_json_schema({{"pattern", "^(?:ab*c|ad*e|x)$"}, {"minLength", 3}, {"maxLength", 4}}, "s"));
  GrammarState state = begin;
  EXPECT_FALSE(state.accept("\"x"));
  state = begin;
  EXPECT_TRUE(state.accept("\"abb"));
  EXPECT_FALSE(GrammarState(state).accept("b"));
  EXPECT_TRUE(state.accept("c\""));
  EXPECT_TRUE(state.must_end());
}

TEST(JsonStrings, ThatCanNotBeAreRefused) {
  const std::string none =
      "s: expected a string that its pattern, format, encoding and length allow at once, found none";
  expect_refused({{"pattern", "^a$"}, {"minLength", 2}}, none);
  expect_refused({{"allOf", Json::array({{{"pattern", "^a"}}, {{"pattern", "^b"}}})}}, none);
  expect_refused({{"format", "date"}, {"pattern", "^[a-z]+$"}}, none);
  expect_refused({{"allOf", Json::array({{{"format", "date"}}, {{"format", "uuid"}}})}}, none);
  expect_refused({{"properties", {{"d", {{"format", "time"}, {"maxLength", 3}}}}}},
                 "s: /properties/d: expected a string that its pattern");
  expect_refused({{"allOf", Json::array({{{"pattern", "a"}}, {{"pattern", 3}}})}},
                 "/pattern: expected a string");
  expect_refused({{"allOf", Json::array({{{"pattern", "a"}}, {{"pattern", Json::array({"b"})}}})}},
                 "/pattern: expected a string");
  expect_refused({{"allOf", Json::array({{{"pattern", "a"}}, {{"pattern", "(?<=b)"}}})}},
                 "s: /pattern: column 3: expected ':'");
}

// Texts that decode to bytes, each by one text alone but for base64url's padding.
TEST(JsonStrings, HaveBytesInTheirEncoding) {
  expect_strings({{"contentEncoding", "base64"}}, {"", "AAAA", "aGk=", "aA==", "+/+/", "aGVsbG8="},
                 {"A", "AA", "AAA", "AAAA=", "aGl=", "aB==", "-_-_", "aA==aA==", "aA="});
  expect_strings({{"contentEncoding", "base64url"}}, {"", "-_-_", "aGk", "aGk=", "aA", "aA=="},
                 {"+/+/", "aGl", "aB", "aA=", "a"});
  expect_strings({{"contentEncoding", "base16"}}, {"", "00", "CAFE"}, {"0", "cafe", "CAF"});
  expect_strings({{"contentEncoding", "base64"}, {"minLength", 8}, {"maxLength", 8}}, {"AAAAaA=="},
                 {"AAAA", "AAAAAAAAAAAA"});
  // As Zod 4 has z.base64() and z.base64url().
  expect_strings({{"format", "base64"},
                  {"contentEncoding", "base64"},
                  {"pattern", "^$|^(?:[0-9a-zA-Z+/]{4})*(?:(?:[0-9a-zA-Z+/]{2}==)|(?:[0-9a-zA-Z+/]{3}=))?$"}},
                 {"", "aGk=", "aA==", "AAAA"}, {"aGk", "aB=="});
  expect_strings({{"format", "base64url"}, {"contentEncoding", "base64url"}, {"pattern", "^[A-Za-z0-9_-]*$"}},
                 {"", "aGk", "-_-_"}, {"aGk=", "a"});
  expect_refused({{"contentEncoding", "quoted-printable"}},
                 "s: /contentEncoding: expected base64, base64url or base16, found \"quoted-printable\"");
}

// A format that is no draft's is a name for the pattern beside it; one of the drafts' is meant.
TEST(JsonStrings, HaveTheirPatternWhereNoDraftHasTheFormat) {
  expect_strings({{"format", "ulid-like"}, {"pattern", "^[0-7][A-Z]{3}$"}}, {"0ABC"}, {"8ABC", "0AB"});
  expect_refused({{"format", "ulid-like"}}, "s: /format: expected date, time, ");
  expect_refused({{"format", "ulid-like"}, {"minLength", 3}}, "s: /format: expected date, time, ");
  for (const std::string_view format : {"iri", "json-pointer", "regex", "uri-template", "idn-email"}) {
    expect_refused({{"format", format}, {"pattern", "a"}}, "s: /format: expected date, time, ");
  }
}

// All short texts over a few characters, against what each keyword alone allows.
TEST(JsonStrings, AreThoseThatEachKeywordAllows) {
  const std::vector<std::string> characters{"a", "b", "é", "\\n", "\\\"", "/"};
  Texts texts{""}, all;
  for (int length = 0; length <= 4; ++length) {
    Texts longer;
    for (const std::string& text : texts) {
      all.push_back("\"" + text + "\"");
      for (const std::string& character : characters) longer.push_back(text + character);
    }
    texts = std::move(longer);
  }
  const Texts patterns{"^a*b?$",  "b|^é",       "^(?:ab|a|é/?){1,3}", "[^a]$",
                       "^..\\n?", "(a|b)+/|\"", "^[^b]{2,3}$"};
  const auto grammar = [](const Json& schema) { return GrammarState(compile_json_schema(schema, "s")); };
  const GrammarState length = grammar({{"minLength", 1}, {"maxLength", 3}});
  int found = 0;
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      const GrammarState first = grammar({{"pattern", patterns[i]}}),
                         second = grammar({{"pattern", patterns[j]}});
      int count = 0;
      for (const std::string& text : all) {
        count += is_text(first, text) && is_text(second, text) && is_text(length, text) ? 1 : 0;
      }
      const Json schema = {{"allOf", Json::array({{{"pattern", patterns[i]}, {"maxLength", 3}},
                                                  {{"pattern", patterns[j]}, {"minLength", 1}}})}};
      if (count == 0) {
        expect_refused(schema, "allow at once, found none");
        continue;
      }
      const GrammarState both = grammar(schema);
      for (const std::string& text : all) {
        const bool expected = is_text(first, text) && is_text(second, text) && is_text(length, text);
        ASSERT_EQ(is_text(both, text), expected) << patterns[i] << " " << patterns[j] << " " << text;
      }
      found += count;
    }
  }
  EXPECT_GT(found, 300);
}

// Patterns that are short and multiply.
TEST(JsonStrings, ThatTakeLongAreRefused) {
  Json patterns = Json::array();
  for (const int n : {97, 89, 83, 79, 73})
    patterns.push_back({{"pattern", fmt::format("^(?:[ab]{{{}}})*$", n)}});
  expect_refused({{"allOf", patterns}}, "s: expected less ");
  expect_refused({{"pattern", "^.*a.*b.*c.*d.*e.*f.*g$"}, {"minLength", 9000}, {"maxLength", 9999}},
                 "s: expected less ");
  Json ends = Json::array();
  for (int i = 1; i < 12; ++i) ends.push_back({{"pattern", fmt::format("a.{{{}}}$", i * 3)}});
  expect_refused({{"allOf", ends}}, "s: expected less ");
}

struct ZodString {
  std::string_view schema;
  Texts strings;
  Texts others;
};

// What Zod 4's z.toJSONSchema() writes for its strings has this form: a format, which mostly is its own, and a pattern.
const std::vector<ZodString>& zod_strings() {
  static const std::vector<ZodString> kStrings{
      {R"({"type":"string","format":"date","pattern":"^(?:\\d{2}(?:0[48]|[2468][048]|[13579][26])-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))$"})",
       {"2024-02-28", "1999-12-31"},
       {"2023-02-29", "2024-04-31", "2024-1-1", "today"}},
      {R"({"type":"string","format":"date-time","pattern":"^\\d{4}-(?:0\\d|1[0-2])-(?:[0-2]\\d|3[01])T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$"})",
       {"2024-02-28T00:00:00Z", "2024-02-28T23:59:59.25Z"},
       {"2024-02-28T00:00:00+01:00", "2024-02-28", "2024-02-30T00:00:00Z", "2024-02-28T24:00:00Z"}},
      {R"({"type":"string","pattern":"^(?:[01]\\d|2[0-3]):[0-5]\\d(?::[0-5]\\d(?:\\.\\d+)?)?$"})",
       {"23:59", "00:00:01.5"},
       {"24:00", "12"}},
      {R"({"type":"string","format":"uuid","pattern":"^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|00000000-0000-0000-0000-000000000000)$"})",
       {"123e4567-e89b-42d3-a456-426614174000", "00000000-0000-0000-0000-000000000000"},
       {"123e4567-e89b-02d3-a456-426614174000", "123e4567-e89b-42d3-c456-426614174000", "123e4567"}},
      {R"({"type":"string","format":"email","pattern":"^(?:[A-Za-z0-9_'+\\-]+\\.)*[A-Za-z0-9_'+\\-]*[A-Za-z0-9_+-]@(?:[A-Za-z0-9][A-Za-z0-9\\-]*\\.)+[A-Za-z]{2,}$"})",
       {"jane.doe+x@example.org"},
       {"jane", "jane@example", "jane'@example.org", "jane..doe@example.org"}},
      {R"({"type":"string","format":"ipv4","pattern":"^(?:(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)\\.){3}(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)$"})",
       {"10.0.0.1"},
       {"10.0.0", "10.0.0.256"}},
      {R"({"type":"string","format":"cidrv4","pattern":"^((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)\\.){3}(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)\\/(\\d|[12]\\d|3[0-2])$"})",
       {"10.0.0.0/8", "255.255.255.255/32"},
       {"10.0.0.0", "10.0.0.0/33", "256.0.0.0/8"}},
      {R"({"type":"string","format":"ulid","pattern":"^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$"})",
       {"01ARZ3NDEKTSV4RRFFQ69G5FAV"},
       {"81ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAU", "01ARZ3"}},
      {R"({"type":"string","format":"e164","pattern":"^\\+[1-9]\\d{6,14}$"})",
       {"+4930123456"},
       {"4930123456", "+0930123456", "+49301"}},
      {R"({"type":"string","format":"mac","pattern":"^(?:[0-9A-F]{2}:){5}[0-9A-F]{2}$|^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$"})",
       {"00:1A:2B:3C:4D:5E", "00:1a:2b:3c:4d:5e"},
       {"00:1A:2b:3C:4D:5E", "00:1A:2B:3C:4D"}},
      {R"({"type":"string","format":"nanoid","pattern":"^[a-zA-Z0-9_-]{21}$"})",
       {"V1StGXR8_Z5jdHi6B-myT"},
       {"V1StGXR8_Z5jdHi6B-my", "V1StGXR8_Z5jdHi6B-my!"}},
      {R"({"type":"string","format":"uppercase","pattern":"^[^a-z]*$"})", {"", "ABC 1É한"}, {"aBC", "ABCz"}},
      {R"({"type":"string","format":"lowercase","pattern":"^[^A-Z]*$"})", {"", "abc 1é한"}, {"Abc"}},
      {R"({"type":"string","format":"starts_with","pattern":"^ab.*"})", {"ab", "abc"}, {"", "a", "cab"}},
      {R"({"type":"string","format":"ends_with","allOf":[{"pattern":"^ab.*"},{"pattern":".*c\\.d$"}]})",
       {"abc.d", "ab c.d"},
       {"abc", "bc.d", "abcxd"}},
      {R"({"type":"string","format":"includes","minLength":2,"maxLength":4,"pattern":"x"})",
       {"ax", "xxxx", "한x글"},
       {"x", "abc", "abcdx"}},
  };
  return kStrings;
}

TEST(JsonStrings, AreReadAsZodWritesThem) {
  for (const ZodString& zod : zod_strings()) {
    expect_strings(Json::parse(zod.schema), zod.strings, zod.others);
    EXPECT_LT(compile_json_schema(Json::parse(zod.schema), "s")->compile_steps(),
              CompileWork::kMaxSteps / 100)
        << zod.schema;
  }
}

}  // namespace
}  // namespace llamajit::json_strings_test
