// Where the lines of a chat come from.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/common/signals.h"

namespace llamajit::cli {

struct InputLine {
  enum class Kind {
    text,
    end,        // of the input
    interrupt,  // Ctrl-C
  };
  Kind kind;
  std::string text{};  // without its newline; with newlines inside where a text was pasted
};

class ChatInput {
 public:
  ChatInput() = default;
  ChatInput(const ChatInput&) = delete;
  ChatInput& operator=(const ChatInput&) = delete;
  virtual ~ChatInput() = default;

  // The next line. `continues`: it goes on with the one before.
  virtual InputLine read(bool continues) = 0;
};

// Standard input that is no terminal: lines and nothing else.
std::unique_ptr<ChatInput> read_lines(Signals& signals);
// Where lines are remembered beyond a chat, made if there is none; nothing where nobody's home is known.
std::optional<std::string> make_history_folder();
// Standard input and output that are a terminal: lines are edited and remembered.
// Tab completes those words at a line's
// beginning that begin with '/'.
std::unique_ptr<ChatInput> edit_lines(Signals& signals, bool color, std::vector<std::string> words);

// Bytes as they come, with signals between them.
class InputBytes {
 public:
  enum class Event { bytes, end, interrupt, resize };
  InputBytes(int fd, Signals& signals) : fd_(fd), signals_(signals) {}

  // Waits until `pending` has more, or something else happened. With a time limit, in milliseconds, it may
  // also be nothing: bytes, as there were.
  Event wait(int limit_ms = -1);
  // Read and not taken yet; whoever takes some removes them with take().
  std::string_view pending() const { return std::string_view(buffer_).substr(taken_); }
  void take(std::size_t n);
  void put_back(std::string_view bytes);  // in front of what is pending

 private:
  int fd_;
  Signals& signals_;
  std::string buffer_;
  std::size_t taken_ = 0;  // of buffer_: erasing each time would make many short takes quadratic
};

}  // namespace llamajit::cli
