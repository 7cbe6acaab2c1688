// What a call of a request's tools must look like.
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace llamajit::serve::offered_tools_test
