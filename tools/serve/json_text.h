// JSON as it comes from outside, and as it goes there.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace llamajit::serve {

// Members keep their order: schemas and tools are shown to models.
using Json = nlohmann::ordered_json;

// An object. Throws ApiError (400): for what is no JSON, or no object, or nested deeper than kDeepest.
Json parse_object(std::string_view text);
inline constexpr int kDeepest = 64;

// In one line; bytes that are no UTF-8 become U+FFFD.
std::string text_of(const Json& json);
// A string with its quotes.
std::string json_string(std::string_view text);

}  // namespace llamajit::serve
