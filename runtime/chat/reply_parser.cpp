#include "runtime/chat/reply_parser.h"

#include <algorithm>
#include <span>
#include <utility>

#include "runtime/chat/xml_call_reader.h"

namespace llamajit {
namespace {

constexpr std::string_view kBlanks = " \n\r\t";
constexpr std::string_view kMessage = "<|message|>";
constexpr std::string_view kFunctions = "functions.";
constexpr std::string_view kToFunctions = "to=functions.";
constexpr std::size_t kLongestHeader = 512;  // bytes of a channel's; a longer one is content

std::string_view word_behind(std::string_view text, std::string_view before) {
  const std::size_t at = text.find(before);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + before.size());
  return text.substr(0, text.find_first_of(" \n\r\t<"));
}

}  // namespace

ReplyParser::ReplyParser(ReplyParserOptions options)
    : calls_syntax_(options.form.calls),
      tools_(options.tools),
      has_channels_(options.form.reasoning == ReasoningSyntax::channels ||
                    options.form.calls == CallSyntax::channels) {
  const auto thought = reasoning_markers(options.form.reasoning);
  if (!has_channels_ && !thought.empty()) {
    thought_begin_ = thought[0];
    thought_end_ = thought[1];
    if (options.in_reasoning) {
      mode_ = Mode::reasoning;
      drops_blanks_ = true;
    }
  }
  if (has_channels_) {
    const auto channels = call_markers(CallSyntax::channels);
    content_markers_.assign(channels.begin(), channels.end());
  } else if (!tools_.empty()) {
    content_markers_.push_back(call_markers(calls_syntax_)[0]);
    if (calls_syntax_ == CallSyntax::xml) content_markers_.push_back(kFunctionTag);
  }
}

std::vector<ReplyEvent> ReplyParser::push(std::string_view text) {
  pending_ += text;
  run();
  return std::exchange(events_, {});
}

std::vector<ReplyEvent> ReplyParser::finish() {
  finished_ = true;
  run();
  if (mode_ == Mode::call) finish_block();
  if (mode_ == Mode::header && !pending_.starts_with("<|")) {
    mode_ = Mode::content;
    say(pending_);
  }
  if (mode_ != Mode::reasoning && !drops_blanks_ && !blanks_.empty()) {
    add({.kind = ReplyEvent::Kind::content, .text = std::exchange(blanks_, {})});
  }
  return std::exchange(events_, {});
}

void ReplyParser::run() {
  while (!pending_.empty() && step()) {
  }
}

bool ReplyParser::step() {
  switch (mode_) {
    case Mode::begin:
      return step_begin();
    case Mode::header:
      return step_header();
    case Mode::reasoning:
    case Mode::content:
      return step_text();
    case Mode::call:
      return step_call();
    case Mode::after_call:
      return step_after_call();
  }
  return false;
}

// At the reply's end a part is none.
ReplyParser::Match ReplyParser::match(std::string_view marker) const {
  if (marker.empty()) return Match::none;
  if (pending_.starts_with(marker)) return Match::whole;
  return !finished_ && marker.starts_with(pending_) ? Match::part : Match::none;
}

bool ReplyParser::step_begin() {
  const std::size_t blanks = std::min(pending_.find_first_not_of(kBlanks), pending_.size());
  if (!drops_blanks_) blanks_ += pending_.substr(0, blanks);
  pending_.erase(0, blanks);
  if (pending_.empty()) return false;
  std::vector<std::string_view> openings{thought_begin_};
  if (has_channels_) openings = {"<|channel|>", "<|start|>", kToFunctions};
  for (const std::string_view opening : openings) {
    const Match found = match(opening);
    if (found == Match::part) return false;
    if (found == Match::none) continue;
    blanks_.clear();
    drops_blanks_ = true;
    mode_ = has_channels_ ? Mode::header : Mode::reasoning;
    if (!has_channels_) pending_.erase(0, opening.size());
    return true;
  }
  thought_begin_ = {};
  mode_ = Mode::content;
  if (calls_syntax_ == CallSyntax::llama && !tools_.empty() && pending_[0] == '{')
    begin_block("", bare_reader());
  return true;
}

// What a channel's text is for: <|start|>assistant to=functions.NAME<|channel|>commentary <|constrain|>json.
bool ReplyParser::step_header() {
  const std::size_t end = pending_.find(kMessage);
  if (end > kLongestHeader && pending_.size() > kLongestHeader + kMessage.size()) {
    mode_ = Mode::content;
    say(std::string_view(pending_).substr(0, kLongestHeader));
    pending_.erase(0, kLongestHeader);
    return true;
  }
  if (end == std::string::npos) return false;
  const std::string header = pending_.substr(0, end);
  pending_.erase(0, end + kMessage.size());
  drops_blanks_ = true;
  std::string_view recipient = word_behind(header, "to=");
  if (recipient.starts_with("functions.")) recipient.remove_prefix(kFunctions.size());
  if (!recipient.empty() && !tools_.empty()) {
    begin_block("", std::make_unique<ArgumentsReader>(std::string(recipient)));
  } else {
    mode_ = word_behind(header, "<|channel|>") == "analysis" ? Mode::reasoning : Mode::content;
  }
  return true;
}

// Says what comes before the first marker, and holds back what may be the beginning of one.
bool ReplyParser::step_text() {
  const bool in_thought = mode_ == Mode::reasoning && !has_channels_;
  const std::span<const std::string_view> markers =
      in_thought ? std::span(&thought_end_, 1) : std::span<const std::string_view>(content_markers_);
  std::size_t found = std::string::npos;
  std::size_t held = 0;
  std::string_view first;
  for (const std::string_view marker : markers) {
    const std::size_t at = pending_.find(marker);
    if (at < found) {
      found = at;
      first = marker;
    }
    if (!finished_) held = std::max(held, beginning_at_end(pending_, marker));
  }
  const std::size_t said = std::min(found, pending_.size() - held);
  say(std::string_view(pending_).substr(0, said));
  pending_.erase(0, said);
  if (found == std::string::npos || said < found) return false;
  end_text(first);
  return true;
}

void ReplyParser::end_text(std::string_view marker) {
  const bool opens = marker == "<|channel|>" || marker == "<|start|>";
  if (!has_channels_ || !opens) pending_.erase(0, marker.size());
  if (has_channels_) {
    const bool in_header = marker == kMessage || marker == "<|constrain|>";
    if (in_header) return;  // out of place
    mode_ = Mode::begin;
    blanks_.clear();
    drops_blanks_ = true;
  } else if (mode_ == Mode::reasoning) {
    mode_ = Mode::begin;
    thought_begin_ = {};
    blanks_.clear();
    drops_blanks_ = true;
  } else {
    begin_block(marker, reader_behind(marker));
  }
}

std::unique_ptr<CallReader> ReplyParser::bare_reader() const {
  return std::make_unique<JsonCallReader>([this](const std::string& name) { return tools_.has(name); });
}

std::unique_ptr<CallReader> ReplyParser::reader_behind(std::string_view marker) const {
  if (marker == kFunctionTag) return XmlCallReader::behind_function(tools_);
  switch (calls_syntax_) {
    case CallSyntax::hermes:
    case CallSyntax::xml:
      return std::make_unique<TaggedReader>(tools_);
    case CallSyntax::llama:
      return std::make_unique<JsonCallReader>();
    default:
      return std::make_unique<MistralReader>();
  }
}

void ReplyParser::begin_block(std::string_view marker, std::unique_ptr<CallReader> reader) {
  mode_ = Mode::call;
  marker_ = marker;
  raw_.clear();
  reader_ = std::move(reader);
  block_calls_ = 0;
}

bool ReplyParser::step_call() {
  std::size_t at = 0;
  CallReader::Progress progress = CallReader::Progress::more;
  while (progress == CallReader::Progress::more && at < pending_.size()) {
    const char c = pending_[at++];
    told_ = false;
    if (!has_call_) raw_ += c;
    progress = reader_->feed(c, *this);
  }
  const std::string last(1, pending_[at - 1]);
  pending_.erase(0, at);
  if (progress == CallReader::Progress::failed) {
    fail_block(told_ ? last : std::exchange(raw_, {}));
    return true;
  }
  if (progress == CallReader::Progress::done) mode_ = Mode::after_call;
  return true;
}

// Looks once more at what was no call.
void ReplyParser::fail_block(const std::string& rest) {
  pending_.insert(0, rest);
  mode_ = block_calls_ > 0 ? Mode::after_call : Mode::content;
  if (block_calls_ == 0) say(marker_);
}

bool ReplyParser::step_after_call() {
  pending_.erase(0, std::min(pending_.find_first_not_of(kBlanks), pending_.size()));
  if (pending_.empty()) return false;
  const bool is_llama = calls_syntax_ == CallSyntax::llama;
  if (is_llama && pending_[0] == ';') {
    pending_.erase(0, 1);
    begin_block(";", bare_reader());
    return true;
  }
  if (is_llama && pending_[0] == '{') {
    begin_block("", bare_reader());
    return true;
  }
  const bool is_tagged = calls_syntax_ == CallSyntax::hermes || calls_syntax_ == CallSyntax::xml;
  const std::string_view closing = is_tagged ? "</tool_call>" : "";
  if (finished_ && closing.starts_with(pending_)) pending_.clear();
  const Match close = match(closing);
  if (close == Match::whole) pending_.erase(0, closing.size());
  if (close != Match::none) return close == Match::whole;
  mode_ = Mode::content;
  return true;
}

// The reply ends within a call, or before one has become clear.
void ReplyParser::finish_block() {
  reader_->cut(*this);
  mode_ = Mode::content;
  const bool is_text = raw_.find_first_not_of(" \n\r\t,[];") != std::string::npos;
  if (block_calls_ == 0 && is_text) raw_.insert(0, marker_);
  if (is_text) say(raw_);
}

void ReplyParser::add(ReplyEvent event) {
  const bool joins = event.kind != ReplyEvent::Kind::call_begin && event.kind != ReplyEvent::Kind::call_end;
  if (joins && !events_.empty() && events_.back().kind == event.kind) {
    events_.back().text += event.text;
  } else {
    events_.push_back(std::move(event));
  }
}

void ReplyParser::say(std::string_view text) {
  if (drops_blanks_) {
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    blanks_.clear();
  }
  if (text.empty()) return;
  drops_blanks_ = false;
  std::string said = std::exchange(blanks_, {}).append(text);
  // Where no marker can come, nothing depends on blanks.
  const bool holds = mode_ == Mode::reasoning || !content_markers_.empty();
  const std::size_t end = holds ? said.find_last_not_of(kBlanks) + 1 : said.size();
  blanks_ = said.substr(end);
  said.erase(end);
  if (said.empty()) return;
  const auto kind = mode_ == Mode::reasoning ? ReplyEvent::Kind::reasoning : ReplyEvent::Kind::content;
  add({.kind = kind, .text = std::move(said)});
}

void ReplyParser::begin_call(const std::string& name) {
  add({.kind = ReplyEvent::Kind::call_begin, .text = name, .call = calls_++});
  blanks_.clear();
  raw_.clear();
  told_ = true;
  has_call_ = true;
  ++block_calls_;
}

void ReplyParser::add_arguments(std::string_view piece) {
  add({.kind = ReplyEvent::Kind::call_arguments, .text = std::string(piece), .call = calls_ - 1});
}

void ReplyParser::end_call(bool complete) {
  add({.kind = ReplyEvent::Kind::call_end, .call = calls_ - 1, .incomplete = !complete});
  raw_.clear();
  told_ = true;
  has_call_ = false;
  drops_blanks_ = true;
}

}  // namespace llamajit
