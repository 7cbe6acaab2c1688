#include "tools/serve/fields.h"

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "tools/serve/api_error.h"

namespace llamajit::serve {

std::string shown(const Json& found) {
  if (found.is_object()) return "an object";
  if (found.is_array()) return "a list";
  std::string text = text_of(found);
  return text.size() <= 60 ? text : fmt::format("a text of {} bytes", text.size());
}

Fields::Fields(const Json& object, std::string path) : object_(&object), path_(std::move(path)) {
  if (!object.is_object()) {
    throw ApiError(400, fmt::format("{}: expected an object, found {}", path_, shown(object)), path_);
  }
}

std::string Fields::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

void Fields::fail(std::string_view name, std::string_view expected, const Json& found) const {
  throw ApiError(400, fmt::format("{}: expected {}, found {}", path_of(name), expected, shown(found)),
                 path_of(name));
}

const Json* Fields::find(const char* name) const {
  const auto found = object_->find(name);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

const Json& Fields::at(const char* name) const {
  const Json* const found = find(name);
  if (found == nullptr)
    throw ApiError(400, fmt::format("{}: expected, not found", path_of(name)), path_of(name));
  return *found;
}

std::optional<bool> Fields::boolean(const char* name) const {
  const Json* const found = find(name);
  if (found == nullptr) return std::nullopt;
  if (!found->is_boolean()) fail(name, "true or false", *found);
  return found->get<bool>();
}

std::optional<double> Fields::number(const char* name, double least, double most) const {
  const Json* const found = find(name);
  if (found == nullptr) return std::nullopt;
  if (!found->is_number() || !(found->get<double>() >= least && found->get<double>() <= most)) {
    fail(name, fmt::format("a number from {} to {}", least, most), *found);
  }
  return found->get<double>();
}

std::optional<std::int64_t> Fields::integer(const char* name, std::int64_t least, std::int64_t most) const {
  const Json* const found = find(name);
  if (found == nullptr) return std::nullopt;
  const auto refuse = [&] { fail(name, fmt::format("a whole number from {} to {}", least, most), *found); };
  if (!found->is_number()) refuse();
  if (found->is_number_float()) {
    const double number = found->get<double>();
    if (number != std::floor(number) || std::abs(number) > 9e15) refuse();
  } else if (found->is_number_unsigned() &&
             found->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
    refuse();
  }
  const auto whole = found->get<std::int64_t>();
  if (whole < least || whole > most) refuse();
  return whole;
}

std::optional<std::string> Fields::text(const char* name) const {
  const Json* const found = find(name);
  if (found == nullptr) return std::nullopt;
  if (!found->is_string()) fail(name, "a text", *found);
  return found->get<std::string>();
}

std::string Fields::required_text(const char* name) const {
  at(name);
  return *text(name);
}

const Json* Fields::list(const char* name) const {
  const Json* const found = find(name);
  if (found != nullptr && !found->is_array()) fail(name, "a list", *found);
  return found;
}

std::optional<Fields> Fields::object(const char* name) const {
  const Json* const found = find(name);
  if (found == nullptr) return std::nullopt;
  return Fields(*found, path_of(name));
}

std::vector<std::string> Fields::texts(const char* name) const {
  const Json* const found = find(name);
  if (found == nullptr) return {};
  if (found->is_string()) return {found->get<std::string>()};
  if (!found->is_array()) fail(name, "a text or a list of texts", *found);
  std::vector<std::string> texts;
  for (const Json& one : *found) {
    if (!one.is_string()) fail(name, "a list of texts", one);
    texts.push_back(one.get<std::string>());
  }
  return texts;
}

}  // namespace llamajit::serve
