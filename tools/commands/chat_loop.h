// A chat's turns: lines become messages and commands, replies go to standard output.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/chat/conversation.h"
#include "runtime/chat/session_file.h"
#include "tools/terminal/chat_input.h"

namespace llamajit::cli {

struct ChatStyle {
  bool terminal = false;  // somebody is watching
  bool color = false;
  bool shift = false;        // the oldest messages are forgotten when the context is full
  bool quiet = false;        // nothing is said beside replies, answers to commands, warnings and errors
  bool single_turn = false;  // nothing can be typed behind the first question
  std::optional<std::vector<std::string>> folders;  // all that /save and /load may use; nothing: any
};

class ChatLoop {
 public:
  ChatLoop(Conversation& conversation, const SessionModel& model, Signals& signals, ChatStyle style);

  // After each turn the conversation is saved here.
  void keep_session(const std::string& path) {
    session_ = path;
    mark_ = session_mark(path);
  }
  void load(const std::string& path);

  // What can be typed as a command, '/' included.
  static std::vector<std::string> command_names();
  // One line: with whom one talks, and how to leave.
  void greet(const std::string& model) const;

  // One question and its reply. Returns the exit code.
  int say(const std::string& question);
  // Until the input ends, or is left. Returns the exit code.
  int run(ChatInput& input);

 private:
  enum class Next { go_on, leave };
  struct Command {
    std::string_view name;
    std::array<std::string_view, 2> other_names;  // mean the same; empty ones are none
    std::string_view argument;
    std::string_view what;
    Next (ChatLoop::*run)(const std::string& argument);
  };
  static std::span<const Command> commands();

  static bool calls(const Command& command, std::string_view name);
  static std::optional<InputLine> read_message(ChatInput& input);
  Next take(const std::string& message);
  Next command(std::string_view line);
  Next help(const std::string&);
  Next reset(const std::string&);
  Next system(const std::string& text);
  Next save(const std::string& path);
  Next load_command(const std::string& path);
  Next stats(const std::string&);
  Next quit(const std::string&);
  void save_session();
  void look_again_at(const std::string& path);
  void refuse_outside(const std::string& path) const;
  void note(std::string_view text) const;
  void answer(std::string_view text) const;
  void remark(std::string_view text) const;
  std::string summary(const std::string& path) const;
  void report(const Reply& reply) const;
  std::string advice(bool goes_on) const;

  Conversation& conversation_;
  const SessionModel& model_;
  Signals& signals_;
  ChatStyle style_;
  std::optional<std::string> session_;
  std::string mark_;  // of its file, as this chat left it
  std::optional<Reply> last_;
  bool reads_ = false;        // messages of the input, which commands can follow
  bool refused_ = false;      // a message did not fit into the context
  bool interrupted_ = false;  // the last thing that happened was Ctrl-C
};

}  // namespace llamajit::cli
