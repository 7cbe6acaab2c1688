#include "tools/serve/json_text.h"

#include <fmt/format.h>

#include "tools/serve/api_error.h"

namespace llamajit::serve {

Json parse_object(std::string_view text) {
  const auto shallow = [](int depth, Json::parse_event_t, const Json&) {
    if (depth > kDeepest)
      throw ApiError(400, fmt::format("body: expected at most {} levels of JSON", kDeepest));
    return true;
  };
  Json json;
  try {
    json = Json::parse(text, shallow);
  } catch (const nlohmann::json::parse_error& error) {
    throw ApiError(400, fmt::format("body: expected JSON, found something else at byte {}", error.byte));
  } catch (const nlohmann::json::exception&) {  // a number that no double can hold
    throw ApiError(400, "body: expected JSON with numbers that a double can hold");
  }
  if (!json.is_object())
    throw ApiError(400, fmt::format("body: expected an object, found {}", json.type_name()));
  return json;
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string json_string(std::string_view text) {
  return text_of(Json(text));
}

}  // namespace llamajit::serve
