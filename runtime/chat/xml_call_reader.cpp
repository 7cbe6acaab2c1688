#include "runtime/chat/xml_call_reader.h"

#include <algorithm>
#include <utility>

namespace llamajit {
namespace {

constexpr std::string_view kParameter = "<parameter=";
constexpr std::string_view kFunctionEnd = "</function>";
constexpr std::string_view kParameterEnd = "</parameter>";
constexpr std::string_view kLineAndEnd = "\n</parameter>";
constexpr std::size_t kLongestTag = 256;  // bytes; a longer one is text

bool may_be_in_tag(char c) {
  return c != '\n' && c != '\r' && c != '<' && c != '>';
}

}  // namespace

std::size_t beginning_at_end(std::string_view text, std::string_view marker) {
  std::size_t n = std::min(text.size(), marker.size() - 1);
  while (!text.ends_with(marker.substr(0, n))) --n;
  return n;
}

std::unique_ptr<XmlCallReader> XmlCallReader::behind_function(const ToolSchemas& tools) {
  auto reader = std::make_unique<XmlCallReader>(tools);
  reader->only_known_ = true;
  reader->text_ = kFunctionTag;
  return reader;
}

CallReader::Progress XmlCallReader::feed(char c, CallSink& sink) {
  if (place_ != Place::value) return feed_tag(c, sink);
  feed_value(c, sink);
  return Progress::more;
}

CallReader::Progress XmlCallReader::fail(CallSink& sink) {
  if (place_ != Place::open) sink.end_call(false);
  return Progress::failed;
}

CallReader::Progress XmlCallReader::feed_tag(char c, CallSink& sink) {
  const bool is_blank = c == ' ' || c == '\n' || c == '\r' || c == '\t';
  if (text_.empty() && is_blank) return Progress::more;
  text_ += c;
  const auto begins = [&](std::string_view tag) { return text_.starts_with(tag) || tag.starts_with(text_); };
  const std::string_view opening = place_ == Place::open ? kFunctionTag : kParameter;
  if (place_ == Place::body && kFunctionEnd.starts_with(text_)) {
    return text_ == kFunctionEnd ? end_tag(sink) : Progress::more;
  }
  if (!begins(opening) || text_.size() > kLongestTag) return fail(sink);
  if (text_.size() <= opening.size()) return Progress::more;
  if (c == '>') return end_tag(sink);
  return may_be_in_tag(c) ? Progress::more : fail(sink);
}

CallReader::Progress XmlCallReader::end_tag(CallSink& sink) {
  const auto named = [&](std::string_view opening) {
    return text_.substr(opening.size(), text_.size() - opening.size() - 1);
  };
  if (text_ == kFunctionEnd) {
    sink.add_arguments(has_arguments_ ? "}" : "{}");
    sink.end_call(true);
    return Progress::done;
  }
  if (place_ == Place::open) {
    name_ = named(kFunctionTag);
    if (name_.empty() || (only_known_ && !tools_.has(name_))) return fail(sink);
    sink.begin_call(name_);
    place_ = Place::body;
  } else {
    key_ = named(kParameter);
    begin_value(sink);
  }
  text_.clear();
  return Progress::more;
}

void XmlCallReader::begin_value(CallSink& sink) {
  is_text_ = tools_.is_text(name_, key_);
  at_value_begin_ = true;
  place_ = Place::value;
  std::string piece = has_arguments_ ? ", \"" : "{\"";
  piece += json_escaped(key_) + "\": ";
  if (is_text_) piece += '"';
  sink.add_arguments(piece);
  has_arguments_ = true;
}

void XmlCallReader::feed_value(char c, CallSink& sink) {
  const bool is_first = std::exchange(at_value_begin_, false);
  if (is_first && c == '\n') return;
  text_ += c;
  if (text_.ends_with(kParameterEnd)) {
    text_.erase(text_.size() - kParameterEnd.size());
    if (text_.ends_with('\n')) text_.pop_back();
    sink.add_arguments(is_text_ ? json_escaped(text_) + '"' : tools_.value(name_, key_, text_));
    text_.clear();
    place_ = Place::body;
  } else if (is_text_) {
    const std::size_t held =
        std::max(beginning_at_end(text_, kLineAndEnd), beginning_at_end(text_, kParameterEnd));
    const std::size_t given = text_.size() - held;
    if (given > 0) sink.add_arguments(json_escaped(std::string_view(text_).substr(0, given)));
    text_.erase(0, given);
  }
}

// What is held back may be the beginning of an end, and is given where it is not.
void XmlCallReader::cut(CallSink& sink) {
  if (place_ == Place::open) return;
  if (place_ == Place::value) {
    std::string_view rest = text_;
    rest.remove_suffix(std::max(beginning_at_end(rest, kLineAndEnd), beginning_at_end(rest, kParameterEnd)));
    if (!rest.empty()) sink.add_arguments(is_text_ ? json_escaped(rest) : std::string(rest));
  }
  sink.end_call(false);
}

CallReader::Progress TaggedReader::feed(char c, CallSink& sink) {
  if (!rest_) {
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') return Progress::more;
    if (c == '<') {
      rest_ = std::make_unique<XmlCallReader>(tools_);
    } else {
      rest_ = std::make_unique<JsonCallReader>();
    }
  }
  return rest_->feed(c, sink);
}

void TaggedReader::cut(CallSink& sink) {
  if (rest_) rest_->cut(sink);
}

}  // namespace llamajit
