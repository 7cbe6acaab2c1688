// Calls between <tool_call> and </tool_call>.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/chat/call_reader.h"
#include "runtime/chat/tool_schemas.h"

namespace llamajit {

inline constexpr std::string_view kFunctionTag = "<function=";

// <function=NAME>, then <parameter=KEY>\nVALUE\n</parameter> for each argument, then </function>. A value ends at
// the first </parameter>; the line ends around it are not part of it.
class XmlCallReader : public CallReader {
 public:
  explicit XmlCallReader(const ToolSchemas& tools) : tools_(tools) {}
  // What is behind a <function= that has no <tool_call> before it: a call only of a tool that there is.
  static std::unique_ptr<XmlCallReader> behind_function(const ToolSchemas& tools);
  Progress feed(char c, CallSink& sink) override;
  void cut(CallSink& sink) override;

 private:
  enum class Place : std::uint8_t { open, body, value };

  Progress feed_tag(char c, CallSink& sink);
  Progress end_tag(CallSink& sink);
  void begin_value(CallSink& sink);
  void feed_value(char c, CallSink& sink);
  Progress fail(CallSink& sink);

  const ToolSchemas& tools_;
  bool only_known_ = false;
  Place place_ = Place::open;
  std::string name_;
  std::string key_;
  std::string text_;             // a tag, or what is held back of a value
  bool is_text_ = false;         // the value can be given as it comes
  bool at_value_begin_ = false;  // nothing of it has come
  bool has_arguments_ = false;
};

// What is behind <tool_call>: one of these, or an object of JSON.
class TaggedReader : public CallReader {
 public:
  explicit TaggedReader(const ToolSchemas& tools) : tools_(tools) {}
  Progress feed(char c, CallSink& sink) override;
  void cut(CallSink& sink) override;

 private:
  const ToolSchemas& tools_;
  std::unique_ptr<CallReader> rest_;
};

// The length of the longest end of the text that `marker` begins with, but is not all of it.
std::size_t beginning_at_end(std::string_view text, std::string_view marker);

}  // namespace llamajit
