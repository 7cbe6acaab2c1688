// What is known of JSON schemas without a grammar: their keywords, and two of them as one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "runtime/grammar/compile_work.h"

namespace llamajit {

using SchemaJson = nlohmann::ordered_json;

// Where a schema stands: a grammar's name and a JSON pointer (RFC 6901), as "NAME: /properties/x", or "NAME:" for the
// whole. at_key() is for what stands there below a key.
std::string at_key(const std::string& where, std::string_view key);
// Throws std::runtime_error as "NAME: PATH: expected …, found …".
[[noreturn]] void refuse_schema(const std::string& where, std::string_view expected, std::string_view found);

// JSON as one line.
std::string dumped(const SchemaJson& value);

// The keyword under which merged_schemas() keeps the patterns and formats of a string beside the first ones, as a list of
// schemas with one keyword each. No JSON text has this key, for it is not UTF-8.
inline constexpr const char* kMoreForms = "more forms\xFF";

// How much there is to copy or to compare: values, and so many bytes of texts and names as one more.
inline constexpr std::size_t kWeightBytes = 16;
std::size_t weight_of(const SchemaJson& json);

// A keyword that constrains nothing, or keeps schemas for others to refer to.
bool is_annotation(std::string_view keyword);
// The keywords that apply to values of a type: "object", "array", "string", "number" (integers, too).
const std::vector<std::string_view>& keywords_of(std::string_view type);
// Any keyword of the schema that is no annotation.
bool constrains(const SchemaJson& schema);
// A schema without its annotations and these keywords.
SchemaJson without_keywords(const SchemaJson& schema, const std::vector<std::string_view>& keywords);

// Throws for a keyword that is not honoured.
void check_keywords(const SchemaJson& schema, const std::string& where);
// The types that a schema's values may have, as it says or, where it says nothing, as its keywords have it; empty: any.
// Throws for what is no type.
std::vector<std::string> types_of(const SchemaJson& schema, const std::string& where);
bool has_type(const SchemaJson& value, std::string_view type);

// A schema that a value is valid by if it is so by both. Throws where that can't be said in one. This and what follows
// take time by the product of what the two list, and count it.
SchemaJson merged_schemas(const SchemaJson& a, const SchemaJson& b, const std::string& where,
                          CompileWork& work);

// No value is valid by both, as far as it shows: by their types, by values that they list, or by a property that both
// require with such schemas.
bool exclude_each_other(const SchemaJson& a, const SchemaJson& b, const std::string& where, CompileWork& work,
                        int depth = 0);

}  // namespace llamajit
