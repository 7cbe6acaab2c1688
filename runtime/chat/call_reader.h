// Calls of tools as they come, byte by byte.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/chat/json_scanner.h"

namespace llamajit {

// Who is told of the calls. Arguments come in pieces, which together are an object of JSON.
class CallSink {
 public:
  CallSink() = default;
  CallSink(const CallSink&) = delete;
  CallSink& operator=(const CallSink&) = delete;
  virtual ~CallSink() = default;
  virtual void begin_call(const std::string& name) = 0;
  virtual void add_arguments(std::string_view piece) = 0;
  virtual void end_call(bool complete) = 0;
};

// Reads what comes behind a marker. Whatever it says to the sink is said as soon as it is certain; every call
// that was begun is ended, by the last feed() or by cut().
class CallReader {
 public:
  enum class Progress : std::uint8_t {
    more,    // needs the next byte
    done,    // the byte was the last of the calls
    failed,  // the byte can't stand here: it and what follows are no call
  };

  CallReader() = default;
  CallReader(const CallReader&) = delete;
  CallReader& operator=(const CallReader&) = delete;
  virtual ~CallReader() = default;
  virtual Progress feed(char c, CallSink& sink) = 0;
  // The reply ends here.
  virtual void cut(CallSink& sink) = 0;
};

// An object {"name": …, "arguments": {…}}; "parameters" is the same as "arguments", in any order, and other keys
// do not matter. Arguments may be missing, null, or a string that is such an object.
class JsonCallReader : public CallReader {
 public:
  // `is_known`, where there is one: an object is a call only if it has arguments and its name is known, and
  // fails at the first key that calls do not have, as it may be what the user asked for.
  explicit JsonCallReader(std::function<bool(const std::string&)> is_known = {})
      : is_known_(std::move(is_known)) {}
  Progress feed(char c, CallSink& sink) override;
  void cut(CallSink& sink) override;

 private:
  enum class Value : std::uint8_t { none, name, arguments, text_arguments, null_arguments, other };

  bool follow(char c, CallSink& sink);
  bool end_key();
  bool begin_value(char c, CallSink& sink);
  bool end_value(CallSink& sink);
  void give_arguments(std::string_view piece, CallSink& sink);
  void begin_if_ready(CallSink& sink);
  bool close(CallSink& sink);

  std::function<bool(const std::string&)> is_known_;
  JsonScanner scanner_;
  std::string text_;  // of the key or the value that is being read
  std::string key_;
  std::string name_;
  std::string arguments_;  // held back as long as the name has not come
  Value value_ = Value::none;
  bool in_key_ = false;
  bool has_arguments_ = false;   // their beginning has come,
  bool arguments_done_ = false;  // and their end
  bool begun_ = false;
};

// A list of such objects.
class ListReader : public CallReader {
 public:
  Progress feed(char c, CallSink& sink) override;
  void cut(CallSink& sink) override;

 private:
  enum class Place : std::uint8_t { open, first, call, after, next };
  Place place_ = Place::open;
  std::unique_ptr<JsonCallReader> call_;
};

// An object that is the arguments of a call whose name is known by now. Where a marker comes at once, there are none.
class ArgumentsReader : public CallReader {
 public:
  explicit ArgumentsReader(std::string name) : name_(std::move(name)) {}
  Progress feed(char c, CallSink& sink) override;
  void cut(CallSink& sink) override;

 private:
  std::string name_;
  JsonScanner scanner_;
  bool begun_ = false;
};

// What is behind [TOOL_CALLS]: a list, an object, or NAME, perhaps [CALL_ID]ID, perhaps [ARGS], and arguments.
class MistralReader : public CallReader {
 public:
  Progress feed(char c, CallSink& sink) override;
  void cut(CallSink& sink) override;

 private:
  bool end_name();

  std::string name_;
  std::unique_ptr<CallReader> rest_;
};

}  // namespace llamajit
