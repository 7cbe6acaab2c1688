#include "tools/commands/chat_loop.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "runtime/base/numbers.h"
#include "tokenizer/utf8.h"
#include "tools/common/cli.h"
#include "tools/common/generation.h"
#include "tools/common/printable.h"
#include "tools/common/sandboxed.h"
#include "tools/usage/suggestion.h"

namespace llamajit::cli {

ChatLoop::ChatLoop(Conversation& conversation, const SessionModel& model, Signals& signals, ChatStyle style)
    : conversation_(conversation), model_(model), signals_(signals), style_(std::move(style)) {}

std::span<const ChatLoop::Command> ChatLoop::commands() {
  static constexpr std::array<Command, 7> kCommands = {{
      {"help", {"?"}, "", "what there is to type", &ChatLoop::help},
      {"clear", {"reset"}, "", "forget the conversation, but not the system message", &ChatLoop::reset},
      {"system",
       {},
       "TEXT",
       "begin anew with this system message; without a text, with none",
       &ChatLoop::system},
      {"save", {}, "FILE", "save the conversation", &ChatLoop::save},
      {"load", {}, "FILE", "go on with a saved conversation", &ChatLoop::load_command},
      {"stats", {}, "", "tokens and their rates", &ChatLoop::stats},
      {"bye", {"quit", "exit"}, "", "leave, as the end of input (Ctrl-D) does", &ChatLoop::quit},
  }};
  return kCommands;
}

std::vector<std::string> ChatLoop::command_names() {
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    names.push_back(fmt::format("/{}", command.name));
    for (const std::string_view name : command.other_names) {
      if (!name.empty()) names.push_back(fmt::format("/{}", name));
    }
  }
  return names;
}

bool ChatLoop::calls(const Command& command, std::string_view name) {
  return !name.empty() && (command.name == name || std::ranges::count(command.other_names, name) > 0);
}

void ChatLoop::greet(const std::string& model) const {
  remark(fmt::format("{}: /help lists what there is to type; /bye or Ctrl-D leaves", model));
}

// In a terminal it is part of what is seen there, wherever standard error goes. In a script, standard output
// carries the replies alone.
void ChatLoop::note(std::string_view text) const {
  const std::string shown = printable(text);  // names of files and models are in it
  if (style_.terminal) {
    write_out(style_.color ? fmt::format("\x1B[2m{}\x1B[0m\n", shown) : fmt::format("{}\n", shown));
  } else {
    fmt::print(stderr, "{}\n", shown);
  }
}

// To what was typed. In a script it is on standard error, which -q keeps for warnings and errors.
void ChatLoop::answer(std::string_view text) const {
  if (style_.terminal || !style_.quiet) note(text);
}

// What nobody asked for, and what is no warning.
void ChatLoop::remark(std::string_view text) const {
  if (!style_.quiet) note(text);
}

void ChatLoop::load(const std::string& path) {
  conversation_.resume(load_session(path, model_));
  last_.reset();
  remark(summary(path));
}

std::string ChatLoop::summary(const std::string& path) const {
  return fmt::format("{}: {}", path, counted(conversation_.messages().size(), "message"));
}

// Another chat that keeps its conversation in the same file must not lose it.
void ChatLoop::save_session() {
  if (!session_) return;
  if (const std::string there = session_mark(*session_); !there.empty() && there != mark_) {
    throw std::runtime_error(fmt::format(
        "{}: expected the conversation as this chat left it, found what another program wrote since, "
        "which stays; /save FILE keeps this conversation elsewhere",
        *session_));
  }
  llamajit::save_session(*session_, model_, conversation_.messages());
  mark_ = session_mark(*session_);
}

// Where a file that was read or written by its name is the session's, too.
void ChatLoop::look_again_at(const std::string& path) {
  std::error_code absent;
  if (session_ && std::filesystem::equivalent(path, *session_, absent)) mark_ = session_mark(*session_);
}

int ChatLoop::say(const std::string& question) {
  signals_.take_interrupt();
  std::string said;
  try {
    last_ = conversation_.say(question, [&](std::string_view text) {
      said.assign(text);
      write_out(text);
    });
  } catch (const ContextFull& error) {
    throw ContextFull(fmt::format("{}; {}", error.what(), advice(reads_)));
  }
  if (!said.ends_with('\n')) write_out("\n");
  save_session();
  report(*last_);
  interrupted_ = signals_.take_interrupt() || last_->reason == StopReason::cancelled;
  return interrupted_ ? kInterrupted : kOk;
}

// Where the chat goes on, commands can be typed.
std::string ChatLoop::advice(bool goes_on) const {
  if (style_.shift) return "ask less at a time, or give a longer context with -c";
  return fmt::format("{}--context-shift would forget the oldest messages, -c gives a longer context",
                     goes_on ? "/clear begins anew, " : "");
}

void ChatLoop::report(const Reply& reply) const {
  if (reply.forgotten_messages > 0) {
    note(fmt::format("(the context was full: the oldest {} forgotten)",
                     reply.forgotten_messages == 1
                         ? "message is"
                         : fmt::format("{} messages are", reply.forgotten_messages)));
  }
  if (reply.reason == StopReason::context_end) {
    note(style_.shift
             ? "(the reply filled the context by itself; -n limits a reply, -c asks for a longer context)"
             : fmt::format("(the context is full; {})",
                           advice(reads_ || (style_.terminal && !style_.single_turn))));
  }
  if (reply.reason == StopReason::max_tokens) remark("(the reply reached the token limit, -n)");
}

// A line, or several where a backslash ends all but the last. Nothing at the end of the input.
std::optional<InputLine> ChatLoop::read_message(ChatInput& input) {
  std::string message;
  for (bool continues = false;; continues = true) {
    InputLine line = input.read(continues);
    if (line.kind == InputLine::Kind::interrupt) return line;
    if (line.kind == InputLine::Kind::end) {
      if (!continues) return std::nullopt;
      return InputLine{InputLine::Kind::text, std::move(message)};
    }
    const bool goes_on = line.text.ends_with('\\');
    if (goes_on) line.text.back() = '\n';
    message += line.text;
    if (!goes_on) return InputLine{InputLine::Kind::text, std::move(message)};
  }
}

int ChatLoop::run(ChatInput& input) {
  reads_ = true;
  for (;;) {
    const auto message = read_message(input);
    if (!message) return refused_ && !style_.terminal ? kFailure : kOk;
    if (message->kind == InputLine::Kind::interrupt) {
      if (interrupted_ || !style_.terminal) return kInterrupted;
      interrupted_ = true;
      note("(Ctrl-C again leaves)");
      continue;
    }
    interrupted_ = false;
    const Next next = take(message->text);
    if (next == Next::leave) return kOk;
    if (interrupted_ && !style_.terminal) return kInterrupted;
  }
}

// An error in one message is told, and the chat goes on; an error in a script ends it, unless it is only that
// there is no room for the message.
ChatLoop::Next ChatLoop::take(const std::string& message) {
  if (message.find_first_not_of(" \t\n") == std::string::npos) return Next::go_on;
  if (style_.terminal && (message == "exit" || message == "quit")) return Next::leave;
  try {
    if (message[0] == '/' && !message.starts_with("//")) return command(message);
    say(message[0] == '/' ? message.substr(1) : message);
  } catch (const ContextFull& error) {
    refused_ = true;
    note(error.what());
  } catch (const std::runtime_error& error) {
    if (!style_.terminal) throw;
    note(error.what());
  }
  return Next::go_on;
}

ChatLoop::Next ChatLoop::command(std::string_view line) {
  line.remove_prefix(1);
  const std::size_t end = std::min(line.find_first_of(" \n"), line.size());
  const std::string_view name = line.substr(0, end);
  std::string_view argument = line.substr(end);
  argument.remove_prefix(std::min(argument.find_first_not_of(" \n"), argument.size()));
  const auto found = std::ranges::find_if(commands(), [&](const Command& c) { return calls(c, name); });
  if (found == commands().end()) {
    throw std::runtime_error(fmt::format(
        "/{}: expected a command that /help shows, or // for a message that begins with /{}", escaped(name),
        name.empty() ? "" : did_you_mean(fmt::format("/{}", name), command_names())));
  }
  const bool may_be_empty = found->argument.empty() || name == "system";
  if (argument.empty() && !may_be_empty) {
    throw std::runtime_error(fmt::format("/{}: expected {}, found nothing", name, found->argument));
  }
  return (this->*found->run)(std::string(argument));
}

ChatLoop::Next ChatLoop::help(const std::string&) {
  for (const Command& command : commands()) {
    std::string others;
    for (const std::string_view name : command.other_names) {
      if (!name.empty()) others += fmt::format("{}/{}", others.empty() ? " (also " : ", ", name);
    }
    answer(fmt::format("{:<14} {}{}{}", fmt::format("/{} {}", command.name, command.argument), command.what,
                       others, others.empty() ? "" : ")"));
  }
  answer("\\ at the end of a line goes on with the next; // begins a message with /");
  return Next::go_on;
}

ChatLoop::Next ChatLoop::reset(const std::string&) {
  conversation_.reset();
  last_.reset();
  save_session();
  return Next::go_on;
}

ChatLoop::Next ChatLoop::system(const std::string& text) {
  conversation_.set_system(text);
  last_.reset();
  save_session();
  return Next::go_on;
}

// The sandbox would refuse it without a reason.
void ChatLoop::refuse_outside(const std::string& path) const {
  if (!style_.folders) return;
  const auto holds = [&](const std::string& one) {
    return (folder_of(path) + '/').starts_with(one == "/" ? one : one + '/');
  };
  if (std::ranges::any_of(*style_.folders, holds)) return;
  throw std::runtime_error(fmt::format(
      "{}: expected a file in {}, to which the sandbox keeps this chat; --files names more folders, "
      "--no-sandbox lets all be used",
      path, style_.folders->empty() ? "no folder" : fmt::to_string(fmt::join(*style_.folders, " or "))));
}

ChatLoop::Next ChatLoop::save(const std::string& path) {
  refuse_outside(path);
  if (const std::string there = session_mark(path); !there.empty() && !is_session_mark(there)) {
    throw std::runtime_error(
        fmt::format("{}: expected a session or no file, found one that begins '{}', which stays", path,
                    escaped(there.substr(0, 16))));
  }
  llamajit::save_session(path, model_, conversation_.messages());
  look_again_at(path);
  answer(summary(path));
  return Next::go_on;
}

ChatLoop::Next ChatLoop::load_command(const std::string& path) {
  refuse_outside(path);
  conversation_.resume(load_session(path, model_));
  last_.reset();
  answer(summary(path));
  look_again_at(path);
  save_session();
  return Next::go_on;
}

// What the cache holds before a conversation's first turn is of the one before.
ChatLoop::Next ChatLoop::stats(const std::string&) {
  answer(fmt::format("{}, {} of {} tokens of the context; template {}",
                     counted(conversation_.messages().size(), "message"),
                     last_ ? conversation_.tokens_in_cache() : 0, conversation_.context(),
                     conversation_.chat_template().name()));
  if (!last_) return Next::go_on;
  answer(fmt::format("last turn: {}, of which {} new, {:.1f} tok/s; reply {}, {:.1f} tok/s, ended by: {}",
                     counted(last_->prompt_tokens, "token"),
                     last_->fed_tokens == 1 ? "1 was" : fmt::format("{} were", last_->fed_tokens),
                     rate(last_->fed_tokens, last_->prompt_seconds),
                     counted(last_->generated_tokens, "token"),
                     rate(last_->generated_tokens, last_->generation_seconds), to_string(last_->reason)));
  return Next::go_on;
}

// NOLINTNEXTLINE(readability-convert-member-functions-to-static): the table's commands are members
ChatLoop::Next ChatLoop::quit(const std::string&) {
  return Next::leave;
}

}  // namespace llamajit::cli
