#include "runtime/grammar/json_schema.h"

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "runtime/grammar/grammar_state.h"
#include "tests/runtime/grammar/schema_texts.h"

namespace llamajit::json_schema_test {
namespace {

using test::expect_refused;
using test::expect_texts;

TEST(JsonSchema, Values) {
  expect_texts("{}",
               {"null", "[1, \"a\"]", "{\"a\": {\"b\":[]},\n\"c\":-0.5e10}", "\"\\ud83d\\uDE00\\n\\u00e9é\""},
               {"", "nul", "[1,]", "01", "+1", "1.", ".5", "\"\n\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\x\"",
                "{a:1}", "[1 ,2]", "[ 1]", "{\"a\":  1}", "1e999", "\"\xFF\"", " 1", "1 "});
  expect_texts(R"({"type":"boolean"})", {"true", "false"}, {"null", "1"});
}

TEST(JsonSchema, ObjectsHaveTheirPropertiesInOrder) {
  constexpr std::string_view kSchema =
      R"({"type":"object","properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}},"required":["b"]})";
  expect_texts(kSchema, {R"({"b":2})", R"({"a": 1, "b": 2})", R"({"a":1,"b":2,"c":3})", R"({"b":2,"c":3})"},
               {"{}", R"({"a":1})", R"({"b":2,"a":1})", R"({"b":2,"d":4})", R"({"b":2,})", R"({,"b":2})"});
  expect_texts(R"({"type":"object","properties":{"a":{"const":1},"b":{"const":2}}})",
               {"{}", R"({"a":1})", R"({"b":2})", R"({"a":1,"b":2})"}, {R"({"b":2,"a":1})"});
  expect_texts(R"({"type":"object","properties":{"a":false,"b":{"const":2}}})", {"{}", R"({"b":2})"},
               {R"({"a":1})"});
}

TEST(JsonSchema, FurtherPropertiesAreNoneOfTheDeclared) {
  constexpr std::string_view kSchema =
      R"({"type":"object","properties":{"ab":{"const":1},"a":{"const":2}},"additionalProperties":{"const":3}})";
  expect_texts(
      kSchema,
      {"{}", R"({"ab":1,"a":2,"x":3})", R"({"abc":3})", R"({"b":3,"":3,"aa":3})", R"({"a":2,"abb":3})"},
      {R"({"ab":3})", R"({"a":3})", R"({"x":3,"ab":1})", R"({"\u0061":3})", R"({"x":1})"});
  expect_texts(R"({"type":"object","required":["q"]})", {R"({"q":[]})"}, {"{}"});
  expect_texts(R"({"type":"object","required":["q"],"additionalProperties":{"const":3}})",
               {R"({"q":3,"r":3})"}, {"{}", R"({"q":4})", R"({"q":3,"q":3})"});
}

// Zod has propertyNames beside the values of each record.
TEST(JsonSchema, NamesAreAsPropertyNamesHasThem) {
  expect_texts(R"({"type":"object","propertyNames":{"type":"string"},"additionalProperties":{"const":1}})",
               {"{}", R"({"a":1,"\n":1})"}, {R"({"a":2})"});
  expect_texts(R"({"propertyNames":true,"properties":{"a":{"const":1}}})", {"{}", R"({"a":1})"},
               {R"({"b":1})"});
  expect_texts(R"({"propertyNames":{"type":"string","title":"Name"},"additionalProperties":{"$ref":"#"}})",
               {"{}", R"({"a":{"b":{}}})"}, {R"({"a":1})"});
  expect_texts(R"({"propertyNames":{"pattern":"^x"},"additionalProperties":{"const":1}})",
               {"{}", R"({"x":1})", R"({"xy":1,"x\"":1})"}, {R"({"y":1})", R"({"x":1,"y":1})", R"({"":1})"});
  expect_texts(R"({"propertyNames":{"minLength":2,"pattern":"^-?\\d+$"}})", {R"({"12":1,"-1":null})"},
               {R"({"1":1})", R"({"ab":1})"});
  expect_texts(R"({"$defs":{"d":{"format":"date"}},"propertyNames":{"$ref":"#/$defs/d"}})",
               {R"({"2024-01-31":1})"}, {R"({"2024-01-32":1})"});
}

TEST(JsonSchema, NamesThatAreListedArePropertiesInTheirOrder) {
  constexpr std::string_view kRest = R"("type":"object","additionalProperties":{"const":1})";
  expect_texts(fmt::format(R"({{"propertyNames":{{"type":"string","enum":["a","b","a"]}},{}}})", kRest),
               {"{}", R"({"a":1})", R"({"b":1})", R"({"a":1,"b":1})"},
               {R"({"b":1,"a":1})", R"({"a":1,"a":1})", R"({"c":1})", R"({"a":2})"});
  expect_texts(fmt::format(R"({{"propertyNames":{{"enum":["a","b"]}},"required":["a","b"],{}}})", kRest),
               {R"({"a":1,"b":1})"}, {"{}", R"({"a":1})", R"({"a":1,"b":1,"c":1})"});
  expect_texts(
      fmt::format(R"({{"propertyNames":{{"enum":["a","b"]}},"properties":{{"b":{{}},"c":{{}}}},{}}})", kRest),
      {"{}", R"({"b":2,"a":1})"}, {R"({"c":2})", R"({"a":2})"});
  expect_texts(R"({"propertyNames":{"const":"a"},"additionalProperties":false})", {"{}"}, {R"({"a":1})"});
  expect_texts(
      R"({"allOf":[{"propertyNames":{"enum":["a"]}},{"properties":{"b":{}},"additionalProperties":true}]})",
      {"{}", R"({"a":2})"}, {R"({"b":2})"});
}

TEST(JsonSchema, NamesThatAreNotHonouredAreRefused) {
  expect_refused(
      R"({"propertyNames":{"pattern":"a"},"properties":{"a":{}}})",
      "s: /propertyNames: expected no properties and no required beside a form of names, found them");
  expect_refused(R"({"propertyNames":{"enum":["a"]},"required":["b"]})",
                 "s: /required: expected names that propertyNames lists, found 'b'");
  expect_refused(
      R"({"propertyNames":{"anyOf":[{"const":"a"}]}})",
      "s: /propertyNames/anyOf: expected type, enum, const or the form of a string, of names, found anyOf");
  expect_refused(R"({"propertyNames":{"type":"integer"}})",
                 "s: /propertyNames/type: expected string, as names are");
  expect_refused(R"({"propertyNames":{"not":{}}})",
                 "s: /propertyNames/not: expected a keyword that is honoured");
  expect_refused(R"({"propertyNames":{"enum":[1]}})",
                 "s: /propertyNames: expected one name at least, found none");
  expect_refused(R"({"propertyNames":false})", "s: /propertyNames: expected a schema of names");
  expect_refused(R"({"propertyNames":{"pattern":"a**"}})",
                 "s: /propertyNames/pattern: column 3: expected one quantifier");
}

TEST(JsonSchema, Arrays) {
  expect_texts(R"({"items":{"const":1},"minItems":1,"maxItems":3})", {"[1]", "[1, 1,\n1]"},
               {"[]", "[1,1,1,1]", "[2]"});
  expect_texts(R"({"prefixItems":[{"const":1},{"const":2}],"items":{"const":3},"minItems":1})",
               {"[1]", "[1,2]", "[1,2,3,3]"}, {"[]", "[2]", "[1,3]"});
  expect_texts(R"({"prefixItems":[{"const":1},{"const":2}],"maxItems":1})", {"[]", "[1]"}, {"[1,2]"});
  expect_texts(R"({"prefixItems":[{"const":1}],"items":false})", {"[]", "[1]"}, {"[1,1]"});
  expect_texts(R"({"type":"array","maxItems":0})", {"[]"}, {"[1]"});
}

TEST(JsonSchema, StringsHaveTheirLengthInCodePoints) {
  expect_texts(R"({"minLength":2,"maxLength":3})", {R"("ab")", R"("한글자")", R"("\n\"")"},
               {R"("a")", R"("abcd")"});
  expect_texts(R"({"minLength":2})", {R"("abcdefg")"}, {R"("a")"});
}

TEST(JsonSchema, Patterns) {
  const auto schema = [](const std::string& pattern) { return nlohmann::json{{"pattern", pattern}}.dump(); };
  expect_texts(schema("^a+(b|cd)?$"), {R"("a")", R"("aacd")"}, {R"("")", R"("abcd")", R"("ac")"});
  expect_texts(schema("b"), {R"("b")", R"("abc")", R"("\u0061bb")"}, {R"("")", R"("ac")"});
  expect_texts(schema("^a|b$"), {R"("a")", R"("axx")", R"("xxb")"}, {R"("xax")"});
  expect_texts(schema("^[\"\\\\\\n]$"), {R"("\"")", R"("\\")", R"("\n")"}, {R"("n")", R"(""")", R"("/")"});
  expect_texts(schema("^\\d{2,}-\\w*?\\.$"), {R"("12-.")", R"("123-a_Z.")"}, {R"("1-.")", R"("12-a")"});
  expect_texts(schema("^.\\S[^a]$"), {R"(" xb")", R"("abc")"}, {R"(" xa")", R"("  b")"});
  expect_texts(schema(""), {R"("")", R"("anything")"}, {});
  for (const auto& [pattern, error] : std::vector<std::pair<std::string, std::string>>{
           {"(?<=a)b", "s: /pattern: column 3: expected ':'"},
           {"\\1", "column 2: expected one of the escapes"},
           {"\\bword", "expected one of the escapes"},
           {"a**", "column 3: expected one quantifier"},
           {"*", "column 1: expected a character, a class or a group"},
           {"(a", "column 3: expected ')'"},
           {"a)", "column 2: expected the pattern's end"},
           {"(a$)", "expected '$' at the end alone"},
           {"a^b", "expected '^' at the beginning alone"},
           {"[z-a]", "expected a range that ascends"},
           {"a{3,2}", "at least 3"},
           {"a{99999}", "at most 10000 repetitions"},
           {"[a", "expected ']'"},
           {std::string(200, '('), "at most 100 groups"}}) {
    expect_refused(schema(pattern), error);
  }
}

TEST(JsonSchema, Formats) {
  expect_texts(R"({"format":"date"})", {R"("2024-02-28")", R"("1999-12-31")"},
               {R"("2023-02-29")", R"("2024-13-01")", R"("2024-04-31")", R"("24-01-01")"});
  expect_texts(R"({"format":"date-time"})", {R"("2024-02-28T23:59:59.5+09:00")", R"("2024-02-28T00:00:00Z")"},
               {R"("2024-02-28")", R"("2024-02-28T24:00:00Z")"});
  expect_texts(R"({"format":"duration"})", {R"("P1Y2M3DT4H5M6S")", R"("P3W")", R"("PT90M")", R"("P1M")"},
               {R"("P")", R"("PT")", R"("1D")", R"("P1W2D")", R"("P1Y3D")"});
  expect_texts(
      R"({"format":"email"})", {R"("a@b.de")", R"("first.last+tag@mail.example.org")"},
      {R"("a")", R"("a@b")", R"("@b.de")", R"("a@b..de")", R"(".a@b.de")", R"("a b@c.de")", R"("a@-b.de")"});
  expect_texts(R"({"format":"hostname"})", {R"("localhost")", R"("a-b.example.org")"},
               {R"("")", R"("-a")", R"("a-")", R"("a..b")", R"("a_b")"});
  expect_texts(R"({"format":"ipv4"})", {R"("127.0.0.1")", R"("255.249.10.0")"},
               {R"("256.0.0.1")", R"("1.2.3")", R"("01.2.3.4")", R"("1.2.3.4.5")"});
  expect_texts(R"({"format":"ipv6"})",
               {R"("::")", R"("::1")", R"("fe80::")", R"("1:2:3:4:5:6:7:8")",
                R"("2001:db8::8:800:200c:417a")", R"("1:2:3:4:5:6:7::")", R"("1::3:4:5:6:7:8")"},
               {R"("1:2:3:4:5:6:7")", R"(":::")", R"("1::2::3")", R"("1:2:3:4:5:6:7:8:9")", R"("12345::")",
                R"("1:2:3:4:5:6:7::8")"});
  expect_texts(R"({"format":"uri"})", {R"("https://example.org")", R"("http://a.b:8080/c/d.html?e=f&g=1#h")"},
               {R"("example.org")", R"("https://")", R"("https://a b")", R"("http://a/<b>")"});
  expect_refused(
      R"({"type":"string","format":"iri"})",
      R"(s: /format: expected date, time, date-time, duration, uuid, email, hostname, ipv4, ipv6 or uri, found "iri")");
}

TEST(JsonSchema, EnumsAndConsts) {
  expect_texts(R"({"enum":["a",1,null,{"x":[1,2]}]})", {R"("a")", "1", "null", R"({"x":[1,2]})"},
               {"2", R"({"x":[1, 2]})"});
  expect_texts(R"({"type":"integer","enum":["a",1,2.0,2.5]})", {"1", "2.0"}, {R"("a")", "2.5"});
  expect_refused(R"({"type":"null","enum":["a"]})",
                 "expected a value that all of enum, const and type allow");
  expect_refused(R"({"enum":[]})", "s: /enum: expected a list that is not empty");
  expect_refused(R"({"enum":[1],"minimum":3})",
                 "s: /minimum: expected no keyword beside enum and const but type");
}

TEST(JsonSchema, AlternativesAndWhatStandsBesideThem) {
  expect_texts(R"({"anyOf":[{"const":1},{"type":"string"}]})", {"1", R"("x")"}, {"2"});
  expect_texts(
      R"({"type":"object","properties":{"a":{"const":1},"b":{"const":2}},"anyOf":[{"required":["a"]},{"required":["b"]}]})",
      {R"({"a":1})", R"({"b":2})", R"({"a":1,"b":2})"}, {"{}"});
  expect_texts(R"({"oneOf":[{"type":"integer"},{"type":"string"}]})", {"1", R"("x")"}, {"1.5"});
  expect_refused(R"({"oneOf":[{"type":"integer"},{"type":"number"}]})",
                 "s: /oneOf: expected schemas that exclude each other");
  expect_refused(R"({"oneOf":[{"enum":[1,2]},{"enum":[2.0,3]}]})", "found 0 and 1, which may both hold");
  expect_refused(
      R"({"oneOf":[{"type":["object","null"],"properties":{"k":{"const":1}},"required":["k"]},{"type":["object","null"],"properties":{"k":{"const":2}},"required":["k"]}]})",
      "may both hold");
  expect_refused(R"({"oneOf":[{"properties":{"k":{"const":1}}},{"properties":{"k":{"const":2}}}]})",
                 "may both hold");
}

TEST(JsonSchema, SchemasThatHoldTogether) {
  expect_texts(
      R"({"allOf":[{"properties":{"a":{"minimum":3}},"required":["a"]},{"properties":{"a":{"type":"integer","maximum":4}}}]})",
      {R"({"a":3})", R"({"a":4})"}, {"{}", R"({"a":2})", R"({"a":5})", R"({"a":3.5})"});
  expect_refused(R"({"allOf":[{"items":{}},{"prefixItems":[{}]}]})",
                 "/prefixItems: expected one schema of items where schemas hold together, found two");
  expect_refused(
      R"({"allOf":[{"properties":{"a":{}},"additionalProperties":false},{"properties":{"b":{}}}]})",
      "/additionalProperties: expected no further properties in schemas that hold together with it, found "
      "'b'");
  expect_refused(R"({"allOf":[{"type":"string"},{"type":"null"}]})",
                 "s: /allOf/1/type: expected types that a value can have at once");
  expect_refused(R"({"allOf":[{"enum":["b",2]},{"enum":["a"]}]})",
                 R"(s: /allOf/1/enum: expected a value that is in both of two lists, found ["a"])");
}

TEST(JsonSchema, ErrorsNameThePlaceThatIsMeant) {
  expect_refused(R"({"required":["d"],"additionalProperties":{"type":"x"}})",
                 "s: /additionalProperties/type: ");
  expect_refused(R"({"allOf":[{"type":"string"},{"type":["a"]}]})",
                 "s: /allOf/1/type: expected object, array");
  expect_refused(R"({"oneOf":[{"type":"null"},{"$ref":"#/nope"}]})", "s: /oneOf/1/$ref: ");
  expect_refused(R"({"properties":false,"required":["d"],"propertyNames":{"minLength":2}})",
                 "s: /properties: expected an object of schemas");
}

TEST(JsonSchema, References) {
  expect_texts(
      R"({"$defs":{"n":{"anyOf":[{"const":0},{"type":"array","items":{"$ref":"#/$defs/n"}}]}},"$ref":"#/$defs/n"})",
      {"0", "[]", "[[0],[[],0]]"}, {"1", "[1]"});
  expect_texts(R"({"properties":{"a":{"$ref":"#"}}})", {"{}", R"({"a":{"a":{}}})"}, {R"({"a":1})"});
  expect_refused(R"({"$ref":"#/$defs/x"})",
                 "s: /$ref: expected a reference to what is there, found #/$defs/x");
  expect_refused(R"({"$ref":"https://example.com/x"})", "expected a reference within the schema");
  expect_refused(R"({"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"})",
                 "left recursion");
  expect_refused(R"({"properties":{"a":{"$ref":"#"}},"required":["a"]})",
                 "expected a text that it ends with, found none");
  expect_refused(R"({"$defs":{"a":{"allOf":[{"$ref":"#/$defs/a"},{"type":"null"}]}},"$ref":"#/$defs/a"})",
                 "at most 100");
}

TEST(JsonSchema, WhatIsNotHonouredIsRefusedByItsPath) {
  expect_refused(R"({"properties":{"x":{"type":"integer","not":{"const":2}}}})",
                 "s: /properties/x/not: expected a keyword that is honoured, found not");
  expect_refused(R"({"not":{}})", "s: /not: expected a keyword that is honoured, found not");
  expect_refused(R"({"properties":{"a/b":{"items":{"contains":true}}}})",
                 "s: /properties/a~1b/items/contains: ");
  for (const std::string_view keyword :
       {"patternProperties", "minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "if",
        "then", "else", "contains", "unevaluatedProperties", "unevaluatedItems", "additionalItems",
        "$dynamicRef", "nullable", "contentMediaType", "made-up"}) {
    expect_refused(fmt::format(R"({{"type":"object","{}":{{}}}})", keyword),
                   fmt::format("s: /{}: ", keyword));
  }
  expect_refused(R"({"type":"array","uniqueItems":true})", "s: /uniqueItems: expected false, found true");
}

TEST(JsonSchema, WhatIsNoSchemaIsRefused) {
  expect_refused("{", "s: expected JSON, found ");
  expect_refused("3", "s: expected a schema, which is an object, true or false, found number");
  expect_refused("false", "s: expected a schema that something is valid by, found false");
  expect_refused(R"({"type":"text"})",
                 "s: /type: expected object, array, string, number, integer, boolean or null, found text");
  expect_refused(R"({"type":[]})", "expected one type at least");
  expect_refused(R"({"properties":[]})", "s: /properties: expected an object of schemas");
  expect_refused(R"({"required":"a"})", "s: /required: expected a list of names");
  expect_refused(R"({"properties":{},"required":["a"],"additionalProperties":false})",
                 "expected names of properties");
  expect_refused(R"({"minLength":-1})", "s: /minLength: expected a whole number from 0 to 100000, found -1");
  expect_refused(R"({"minLength":3,"maxLength":2})", "s: /maxLength: expected at least 3, found 2");
  expect_refused(R"({"items":[{}]})", "as prefixItems has the list");
  expect_refused(R"({"$ref":3})", "s: /$ref: expected a string");
  expect_refused(R"({"anyOf":{}})", "s: /anyOf: expected a list that is not empty");
  expect_refused(R"({"pattern":3})", "s: /pattern: expected a string");
  expect_refused(R"({"type":"integer","minimum":"3"})", "s: /minimum: expected a number");
}

TEST(JsonSchema, HostileSchemasAreRefusedByTheLimit) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += R"({"items":)";
  expect_refused(deep + "{}" + std::string(100'000, '}'), "s: expected at most 300 levels of JSON");
  deep.clear();
  for (int i = 0; i < 120; ++i) deep += R"({"items":)";
  expect_refused(deep + "{}" + std::string(120, '}'), "expected at most 100 schemas within one another");
  expect_refused(R"({"type":"string","minLength":99999})", "expected at most 200000 positions");
  std::string many = R"({"type":"object","properties":{"a":{})";
  for (int i = 0; i < 20'000; ++i) many += fmt::format(R"(,"p{}":{{"type":"string"}})", i);
  expect_refused(many + "}}", "s: expected a schema of at most 16384 values");
  std::string doubling = R"({"$ref":"#/$defs/a0","$defs":{"a30":{"type":"null"})";
  for (int i = 0; i < 30; ++i)
    doubling +=
        fmt::format(R"(,"a{0}":{{"allOf":[{{"$ref":"#/$defs/a{1}"}},{{"$ref":"#/$defs/a{1}"}}]}})", i, i + 1);
  expect_refused(doubling + "}}", "expected schemas that hold together and don't multiply");
}

TEST(JsonSchema, AnyObject) {
  GrammarState state(json_object_grammar());
  EXPECT_FALSE(state.may_end());
  EXPECT_TRUE(state.accept(R"({"a": [1, {"b": null}]})"));
  EXPECT_TRUE(state.must_end());
  EXPECT_FALSE(GrammarState(json_object_grammar()).accept("["));
}

}  // namespace
}  // namespace llamajit::json_schema_test
