// Numbers as a schema has them, and counts.
#pragma once

#include <string>
#include <utility>

#include "runtime/grammar/json_rules.h"
#include "runtime/grammar/schema.h"

namespace llamajit {

// Each throws std::runtime_error for keywords of its type whose values make no sense, or that are not honoured together.
PartId integer_by_schema(JsonRules& json, const SchemaJson& schema, const std::string& where);
PartId number_by_schema(JsonRules& json, const SchemaJson& schema, const std::string& where);

// How many of something there may be, by two keywords; the second number is -1 without a bound.
std::pair<int, int> counts_of(const SchemaJson& schema, const std::string& where,
                              const std::string& min_keyword, const std::string& max_keyword);

}  // namespace llamajit
