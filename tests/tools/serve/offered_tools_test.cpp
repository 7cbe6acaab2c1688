// What a call of a request's tools must look like.
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/grammar/json_schema.h"
#include "tools/serve/tools.h"

namespace llamajit::serve::offered_tools_test {
namespace {

Json arguments_by(const std::string& parameters) {
  OfferedTools offered;
  offered.tools.push_back({.name = "go", .parameters = parameters});
  return call_schema(offered)["properties"]["arguments"];
}

// A value of another type would be no call.
TEST(OfferedTools, ArgumentsAreAnObjectWhateverTheirSchemaSays) {
  for (const char* parameters : {"", "{}", R"({"description":"none"})", R"({"properties":{"a":{}}})"})
    EXPECT_EQ(arguments_by(parameters).value("type", ""), "object") << parameters;
  const std::string said = R"({"type":"object","required":["a"]})";
  EXPECT_EQ(arguments_by(said), Json::parse(said));
}

std::string error_of(const OfferedTools& offered) {
  try {
    compile_json_schema(call_schema(offered), "tools");
  } catch (const std::runtime_error& error) {
    return of_its_tool(error.what(), offered);
  }
  return "";
}

// What call_schema() makes of them is nothing that the request has.
TEST(OfferedTools, ErrorsNameTheToolAndThePlaceInItsParameters) {
  const std::string right = R"({"properties":{"a":{"type":"integer"}}})",
                    wrong = R"({"properties":{"a":{"type":"number","not":{"const":3}}}})",
                    referring =
                        R"({"properties":{"a":{"$ref":"#/$defs/b"}},"$defs":{"b":{"type":"numbers"}}})";
  OfferedTools offered;
  offered.tools = {{"one", right}, {"two", wrong}};
  EXPECT_THAT(error_of(offered),
              ::testing::StartsWith("tools[1] 'two', parameters: /properties/a/not: expected "));
  offered.only = "two";
  EXPECT_THAT(error_of(offered),
              ::testing::StartsWith("tools[1] 'two', parameters: /properties/a/not: expected "));
  offered.only = "one";
  EXPECT_EQ(error_of(offered), "");
  offered = {};
  offered.tools = {{"one", wrong}, {"two", right}, {"two", wrong}};
  offered.only = "two";
  EXPECT_THAT(error_of(offered),
              ::testing::StartsWith("tools[2] 'two', parameters: /properties/a/not: expected "));
  offered = {};
  offered.tools = {{"one", right}, {"three", referring}};
  EXPECT_THAT(error_of(offered),
              ::testing::StartsWith("tools[1] 'three', parameters: /$defs/b/type: expected "));
  offered.tools = {{"four", R"({"type":"text"})"}};
  EXPECT_THAT(error_of(offered), ::testing::StartsWith("tools[0] 'four', parameters: /type: expected "));
}

TEST(OfferedTools, ErrorsOfNoToolStayAsTheyAre) {
  OfferedTools offered;
  offered.tools = {{"one", "{}"}};
  for (const char* error :
       {"", "tools: expected a schema", "tools: /anyOf/7/properties/arguments: expected", "other"})
    EXPECT_EQ(of_its_tool(error, offered), error);
}

}  // namespace
}  // namespace llamajit::serve::offered_tools_test
