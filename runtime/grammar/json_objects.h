// Objects of JSON schemas: properties, required, additionalProperties, propertyNames.
#pragma once

#include <functional>
#include <string>

#include "runtime/grammar/json_rules.h"
#include "runtime/grammar/schema.h"
#include "runtime/grammar/schema_resolver.h"

namespace llamajit {

// What is written by the schema that stands at a place.
struct SchemaParts {
  std::function<PartId(const SchemaJson&, const std::string& where)> value;
  std::function<PartId(const SchemaJson&, const std::string& where)>
      repeated;  // more than once: a call of a rule
};

// `nesting` is how many schemas this one stands in. Throws std::runtime_error as refuse_schema() says it.
PartId object_by_schema(JsonRules& json, SchemaResolver& resolver, const SchemaParts& parts,
                        const SchemaJson& schema, const std::string& where, int nesting);

}  // namespace llamajit
