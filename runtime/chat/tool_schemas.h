// What a reply's reader must know of the tools that it may call.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace llamajit {

struct Tool {
  std::string name;
  std::string parameters{};  // JSON Schema of the arguments, an object, as text; empty: not said
};

class ToolSchemas {
 public:
  ToolSchemas() = default;
  // Parameters that are no JSON, or say nothing of a type, are allowed: their values are then taken for what
  // they look like.
  explicit ToolSchemas(std::span<const Tool> tools);

  bool empty() const { return tools_.empty(); }
  bool has(const std::string& name) const { return tools_.contains(name); }

  // Whether the argument is text and nothing else, so that its value need not be seen as a whole.
  bool is_text(const std::string& tool, const std::string& parameter) const;
  // JSON for a value that a model wrote without quotation marks. Text stays text; other types are JSON, or as
  // Python writes it (True, False, None), else text.
  std::string value(const std::string& tool, const std::string& parameter, std::string_view written) const;

 private:
  enum class Kind : std::uint8_t { unknown, text, text_or_null, json };
  static Kind kind_of(bool text, bool null, bool other);
  Kind kind(const std::string& tool, const std::string& parameter) const;

  std::map<std::string, std::map<std::string, Kind>> tools_;
};

}  // namespace llamajit
