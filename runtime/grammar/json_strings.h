// Strings as a schema has them.
#pragma once

#include <string>

#include "runtime/grammar/json_rules.h"
#include "runtime/grammar/schema.h"

namespace llamajit {

// By all of pattern, format, minLength, maxLength and kMoreForms at once. A format that no draft of JSON Schema has says
// nothing beside a pattern. Throws std::runtime_error for values that make no sense, for formats that are not honoured,
// and where no string is as all of them want it.
PartId string_by_schema(JsonRules& json, const SchemaJson& schema, const std::string& where);

}  // namespace llamajit
