// Members of a request's JSON, each checked as it is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/serve/json_text.h"

namespace llamajit::serve {

// A member that is null counts as missing. All throw ApiError (400) that names the field, with `path` before it.
class Fields {
 public:
  // `object` must outlive it. Throws where it is none.
  explicit Fields(const Json& object, std::string path = {});

  bool has(const char* name) const { return find(name) != nullptr; }
  const Json* find(const char* name) const;
  const Json& at(const char* name) const;

  std::optional<bool> boolean(const char* name) const;
  std::optional<double> number(const char* name, double least, double most) const;
  // Also 16.0 is one.
  std::optional<std::int64_t> integer(const char* name, std::int64_t least, std::int64_t most) const;
  std::optional<std::string> text(const char* name) const;
  std::string required_text(const char* name) const;
  // A list; nullptr: missing.
  const Json* list(const char* name) const;
  std::optional<Fields> object(const char* name) const;
  // One text, or a list of them.
  std::vector<std::string> texts(const char* name) const;

  // "messages[2].role"
  std::string path_of(std::string_view name) const;
  [[noreturn]] void fail(std::string_view name, std::string_view expected, const Json& found) const;

 private:
  const Json* object_;
  std::string path_;
};

// What a message says was found: a short value itself, of others their kind.
std::string shown(const Json& found);

}  // namespace llamajit::serve
