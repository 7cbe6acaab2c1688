// A model's reply taken apart as it comes: what it thought, what it says, and which tools it calls.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/chat/call_reader.h"
#include "runtime/chat/tool_form.h"
#include "runtime/chat/tool_schemas.h"

namespace llamajit {

struct ReplyEvent {
  enum class Kind : std::uint8_t {
    reasoning,
    content,
    call_begin,      // `text` is the tool's name
    call_arguments,  // a piece of JSON
    call_end,
  };
  Kind kind = Kind::content;
  std::string text{};
  int call = -1;            // the call's index, from 0
  bool incomplete = false;  // at a call's end: its arguments are cut off, or go on with what is no JSON

  bool operator==(const ReplyEvent&) const = default;
};

struct ReplyParserOptions {
  ToolForm form{};
  // Without tools no calls are looked for: what looks like one is content, as with tool_choice "none".
  std::vector<Tool> tools{};
  bool in_reasoning = false;  // the prompt ended within a thought: begins_in_reasoning()
};

// The texts of the pieces are the same together however the reply is cut. A call is told as soon as its name is
// known and its arguments begin, and its arguments as they come: together an object of JSON, "{}" for none.
// Until then it may turn out to be none, and is content then, as it was, its marker included. What comes
// behind a call that breaks off is content, too. Tools that nobody offered may be called where markers say that
// it is a call; JSON without a marker (Llama 3) is a call only of a tool that was offered. Blanks around
// thoughts and calls belong to neither, nor to the content.
class ReplyParser : private CallSink {
 public:
  explicit ReplyParser(ReplyParserOptions options);

  // Whole characters of the reply, as ReplyStream gives them, of reply_bytes().
  std::vector<ReplyEvent> push(std::string_view text);
  // The reply's end: what was held back.
  std::vector<ReplyEvent> finish();
  int calls() const { return calls_; }  // so far

 private:
  enum class Mode : std::uint8_t {
    begin,   // a thought, a call without a marker, a channel's header or content comes next
    header,  // of a channel: up to <|message|>
    reasoning,
    content,
    call,
    after_call,
  };
  enum class Match : std::uint8_t { none, part, whole };

  void run();
  bool step();  // whether there is more to do with what is pending
  bool step_begin();
  bool step_header();
  bool step_text();
  bool step_call();
  bool step_after_call();

  Match match(std::string_view marker) const;
  void end_text(std::string_view marker);
  void begin_block(std::string_view marker, std::unique_ptr<CallReader> reader);
  void fail_block(const std::string& rest);
  std::unique_ptr<CallReader> bare_reader() const;
  std::unique_ptr<CallReader> reader_behind(std::string_view marker) const;
  void finish_block();

  void add(ReplyEvent event);
  void say(std::string_view text);  // a part of the content or of a thought, as the mode has it

  void begin_call(const std::string& name) override;
  void add_arguments(std::string_view piece) override;
  void end_call(bool complete) override;

  CallSyntax calls_syntax_;
  ToolSchemas tools_;
  bool has_channels_;
  std::string_view thought_begin_;  // empty: none comes any more
  std::string_view thought_end_;
  std::vector<std::string_view> content_markers_;  // what ends content
  Mode mode_ = Mode::begin;
  bool finished_ = false;
  std::string pending_;        // what has not been looked at
  std::string blanks_;         // behind what was said: they may be those before a marker
  bool drops_blanks_ = false;  // a thought or a call has just ended
  std::string marker_;         // before the call that is being read,
  std::string raw_;            // and what has come behind it, or behind the last call that it began
  bool has_call_ = false;      // told, and not ended
  bool told_ = false;          // the last byte made the reader tell something
  int block_calls_ = 0;        // told since the marker
  int calls_ = 0;
  std::unique_ptr<CallReader> reader_;
  std::vector<ReplyEvent> events_;
};

}  // namespace llamajit
