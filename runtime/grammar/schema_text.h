// A schema's JSON within its bounds: those keep what takes time by the square of a schema's size within a second.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "runtime/grammar/schema.h"

namespace llamajit {

inline constexpr std::size_t kMaxSchemaBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxSchemaValues = 16'384;  // each object, list, text, number, …
inline constexpr int kMaxSchemaLevels = 300;             // of JSON in JSON

// Throws std::runtime_error beyond the bounds, which is found out before much of the text is kept, and for what is no
// JSON, by line and column.
SchemaJson parse_schema_text(std::string_view text, const std::string& name);

// Of JSON that was read elsewhere. Returns how many values it has.
std::size_t check_schema_size(const SchemaJson& schema, const std::string& name);

}  // namespace llamajit
