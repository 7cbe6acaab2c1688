#include "runtime/chat/call_reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

using CallJson = nlohmann::json;
using Place = JsonScanner::Place;
using Progress = CallReader::Progress;

constexpr std::size_t kLongestName = 256;  // bytes; a longer one is text

bool is_blank(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

// What the string of JSON means; nothing for one that has half a surrogate pair, or is no UTF-8.
std::optional<std::string> meaning(std::string_view json) {
  const CallJson value = CallJson::parse(json, nullptr, false);
  if (!value.is_string()) return std::nullopt;
  return value.get<std::string>();
}

// Whether the text is an object, within the depth that arguments may have.
bool is_object(std::string_view text) {
  JsonScanner scanner;
  if (!text.starts_with('{')) return false;
  for (const char c : text) {
    if (!scanner.feed(c)) return false;
  }
  return scanner.is_done();
}

}  // namespace

Progress JsonCallReader::feed(char c, CallSink& sink) {
  const bool good = follow(c, sink);
  if (good && !scanner_.is_done()) return Progress::more;
  if (good && close(sink)) return Progress::done;
  if (begun_) sink.end_call(arguments_done_);
  begun_ = false;
  return Progress::failed;
}

// Tells keys and values of the outermost object apart.
bool JsonCallReader::follow(char c, CallSink& sink) {
  const Place before = scanner_.place();
  const std::size_t depth = scanner_.depth();
  const bool in_string = scanner_.in_string();
  if (depth == 0 && !is_blank(c) && c != '{') return false;
  if (!scanner_.feed(c)) return false;
  const Place after = scanner_.place();
  if (depth == 1 && (before == Place::key || before == Place::first_key) && after == Place::string) {
    in_key_ = true;
    text_.clear();
  }
  if (in_key_) {
    append_json_byte(text_, c, in_string);
    return after != Place::colon || end_key();
  }
  if (depth == 1 && before == Place::value && !is_blank(c)) return begin_value(c, sink);
  if (value_ == Value::none) return true;
  if (before == Place::number && after != Place::number && depth == 1) return end_value(sink);
  if (value_ == Value::arguments) {
    std::string piece;
    append_json_byte(piece, c, in_string);
    give_arguments(piece, sink);
  } else if (value_ != Value::other) {
    append_json_byte(text_, c, in_string);
  }
  return scanner_.depth() != 1 || after != Place::after_value || end_value(sink);
}

bool JsonCallReader::end_key() {
  in_key_ = false;
  const auto key = meaning(text_);
  if (!key) return false;
  key_ = *key;
  if (!is_known_) return true;
  constexpr std::array<std::string_view, 5> kKeys = {"name", "arguments", "parameters", "type", "id"};
  return begun_ || std::ranges::find(kKeys, key_) != kKeys.end();
}

bool JsonCallReader::begin_value(char c, CallSink& sink) {
  text_.assign(1, c);
  value_ = Value::other;
  if (key_ == "name") {
    if (c != '"' || !name_.empty()) return false;
    value_ = Value::name;
  } else if (key_ == "arguments" || key_ == "parameters") {
    if (has_arguments_) return false;
    has_arguments_ = true;
    if (c == '{') {
      value_ = Value::arguments;
      begin_if_ready(sink);
      give_arguments("{", sink);
    } else if (c == '"') {
      value_ = Value::text_arguments;
    } else if (c == 'n') {
      value_ = Value::null_arguments;
    } else {
      return false;
    }
  }
  return true;
}

bool JsonCallReader::end_value(CallSink& sink) {
  const Value ended = std::exchange(value_, Value::none);
  if (ended == Value::name) {
    name_ = meaning(text_).value_or("");
    if (name_.empty() || name_.size() > kLongestName || (is_known_ && !is_known_(name_))) return false;
    if (has_arguments_) begin_if_ready(sink);
  } else if (ended == Value::text_arguments || ended == Value::null_arguments) {
    const std::string text = ended == Value::null_arguments ? "{}" : meaning(text_).value_or("");
    if (!text.empty() && !is_object(text)) return false;
    begin_if_ready(sink);
    give_arguments(text.empty() ? "{}" : text, sink);
  }
  if (ended != Value::name && ended != Value::other) arguments_done_ = true;
  return true;
}

void JsonCallReader::give_arguments(std::string_view piece, CallSink& sink) {
  if (begun_) {
    sink.add_arguments(piece);
  } else {
    arguments_ += piece;
  }
}

void JsonCallReader::begin_if_ready(CallSink& sink) {
  if (begun_ || name_.empty()) return;
  begun_ = true;
  sink.begin_call(name_);
  if (!arguments_.empty()) sink.add_arguments(arguments_);
  arguments_.clear();
}

// At the object's end.
bool JsonCallReader::close(CallSink& sink) {
  if (name_.empty() || (is_known_ && !has_arguments_)) return false;
  begin_if_ready(sink);
  if (!has_arguments_) sink.add_arguments("{}");
  sink.end_call(true);
  return true;
}

void JsonCallReader::cut(CallSink& sink) {
  if (!is_known_) begin_if_ready(sink);
  if (begun_) sink.end_call(arguments_done_);
}

Progress ListReader::feed(char c, CallSink& sink) {
  if (place_ == Place::call) {
    const Progress progress = call_->feed(c, sink);
    if (progress != Progress::done) return progress;
    place_ = Place::after;
    return Progress::more;
  }
  if (is_blank(c)) return Progress::more;
  if (c == '[' && place_ == Place::open) {
    place_ = Place::first;
  } else if (c == '{' && (place_ == Place::first || place_ == Place::next)) {
    place_ = Place::call;
    call_ = std::make_unique<JsonCallReader>();
    return call_->feed(c, sink);
  } else if (c == ',' && place_ == Place::after) {
    place_ = Place::next;
  } else {
    return c == ']' && place_ == Place::after ? Progress::done : Progress::failed;
  }
  return Progress::more;
}

void ListReader::cut(CallSink& sink) {
  if (place_ == Place::call) call_->cut(sink);
}

Progress ArgumentsReader::feed(char c, CallSink& sink) {
  if (!begun_ && is_blank(c)) return Progress::more;
  if (!begun_ && c == '<') {  // the next marker
    sink.begin_call(name_);
    sink.add_arguments("{}");
    sink.end_call(true);
    return Progress::failed;
  }
  const bool in_string = scanner_.in_string();
  const bool good = (begun_ || c == '{') && scanner_.feed(c);
  if (!good) {
    if (begun_) sink.end_call(false);
    return Progress::failed;
  }
  if (!begun_) sink.begin_call(name_);
  begun_ = true;
  std::string piece;
  append_json_byte(piece, c, in_string);
  sink.add_arguments(piece);
  if (!scanner_.is_done()) return Progress::more;
  sink.end_call(true);
  return Progress::done;
}

void ArgumentsReader::cut(CallSink& sink) {
  if (!begun_) sink.begin_call(name_);
  sink.end_call(false);
}

// Takes off what Mistral's form has behind the name; whether a name is left.
bool MistralReader::end_name() {
  for (const std::string_view marker : {"[ARGS]", "[CALL_ID]"}) {
    const std::size_t at = name_.find(marker);
    if (at != std::string::npos) name_.erase(at);
  }
  name_ = without_trailing_space(name_);
  return !name_.empty() && name_.find_first_of("[]\" \n\r\t") == std::string::npos;
}

Progress MistralReader::feed(char c, CallSink& sink) {
  if (rest_) return rest_->feed(c, sink);
  if (name_.empty() && is_blank(c)) return Progress::more;
  if (name_.empty() && (c == '[' || c == '{')) {
    if (c == '[') {
      rest_ = std::make_unique<ListReader>();
    } else {
      rest_ = std::make_unique<JsonCallReader>();
    }
    return rest_->feed(c, sink);
  }
  if (c == '{') {
    if (!end_name()) return Progress::failed;
    rest_ = std::make_unique<ArgumentsReader>(name_);
    return rest_->feed(c, sink);
  }
  name_ += c;
  return name_.size() <= kLongestName ? Progress::more : Progress::failed;
}

void MistralReader::cut(CallSink& sink) {
  if (rest_) return rest_->cut(sink);
  // With its marker behind it, a name is whole.
  const bool whole =
      name_.find("[ARGS]") != std::string::npos || name_.find("[CALL_ID]") != std::string::npos;
  if (!whole || !end_name()) return;
  sink.begin_call(name_);
  sink.end_call(false);
}

}  // namespace llamajit
