#include "tools/commands/chat_loop.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "tokenizer/utf8.h"
#include "tools/common/cli.h"
#include "tools/common/generation.h"
#include "tools/common/printable.h"

namespace llamajit::cli {

ChatLoop::ChatLoop(Conversation& conversation, const SessionModel& model, Signals& signals, ChatStyle style)
    : conversation_(conversation), model_(model), signals_(signals), style_(style) {}

std::span<const ChatLoop::Command> ChatLoop::commands() {
  static constexpr std::array<Command, 7> kCommands = {{
      {"help", "?", "", "what there is to type", &ChatLoop::help},
      {"clear", "reset", "", "forget the conversation, but not the system message", &ChatLoop::reset},
      {"system", "", "TEXT", "begin anew with this system message; without a text, with none",
       &ChatLoop::system},
      {"save", "", "FILE", "save the conversation", &ChatLoop::save},
      {"load", "", "FILE", "go on with a saved conversation", &ChatLoop::load_command},
      {"stats", "", "", "tokens and their rates", &ChatLoop::stats},
      {"bye", "quit", "", "leave, as the end of input (Ctrl-D) does", &ChatLoop::quit},
  }};
  return kCommands;
}

std::vector<std::string> ChatLoop::command_names() {
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    for (const std::string_view name : {command.name, command.other_name}) {
      if (!name.empty()) names.push_back(fmt::format("/{}", name));
    }
  }
  return names;
}

void ChatLoop::greet(const std::string& model) const {
  note(fmt::format("{}: /help lists what there is to type; /bye or Ctrl-D leaves", model));
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

void ChatLoop::load(const std::string& path) {
  conversation_.resume(load_session(path, model_));
  note(fmt::format("{}: {} messages", path, conversation_.messages().size()));
}

void ChatLoop::save_session() const {
  if (session_) llamajit::save_session(*session_, model_, conversation_.messages());
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
    throw ContextFull(fmt::format("{}; {}", error.what(), advice()));
  }
  if (!said.ends_with('\n')) write_out("\n");
  save_session();
  report(*last_);
  interrupted_ = signals_.take_interrupt() || last_->reason == StopReason::cancelled;
  return interrupted_ ? kInterrupted : kOk;
}

std::string ChatLoop::advice() const {
  if (style_.shift) return "ask less at a time, or give a longer context with -c";
  return "/clear begins anew, --context-shift would forget the oldest messages, -c gives a longer context";
}

void ChatLoop::report(const Reply& reply) const {
  if (reply.forgotten_messages > 0) {
    note(fmt::format("(the context was full: the oldest {} messages are forgotten)",
                     reply.forgotten_messages));
  }
  if (reply.reason == StopReason::context_end) {
    note(style_.shift
             ? "(the reply filled the context by itself; -n limits a reply, -c asks for a longer context)"
             : fmt::format("(the context is full; {})", advice()));
  }
  if (reply.reason == StopReason::max_tokens) note("(the reply reached the token limit, -n)");
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
  if (message.empty()) return Next::go_on;
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
  const auto found = std::ranges::find_if(commands(), [&](const Command& c) {
    return !name.empty() && (c.name == name || c.other_name == name);
  });
  if (found == commands().end()) {
    throw std::runtime_error(fmt::format(
        "/{}: expected a command that /help shows, or // for a message that begins with /", escaped(name)));
  }
  const bool may_be_empty = found->argument.empty() || name == "system";
  if (argument.empty() && !may_be_empty) {
    throw std::runtime_error(fmt::format("/{}: expected {}, found nothing", name, found->argument));
  }
  return (this->*found->run)(std::string(argument));
}

ChatLoop::Next ChatLoop::help(const std::string&) {
  for (const Command& command : commands()) {
    note(fmt::format("{:<14} {}", fmt::format("/{} {}", command.name, command.argument),
                     command.other_name.empty()
                         ? std::string(command.what)
                         : fmt::format("{} (also /{})", command.what, command.other_name)));
  }
  note("\\ at the end of a line goes on with the next; // begins a message with /");
  return Next::go_on;
}

ChatLoop::Next ChatLoop::reset(const std::string&) {
  conversation_.reset();
  save_session();
  return Next::go_on;
}

ChatLoop::Next ChatLoop::system(const std::string& text) {
  conversation_.set_system(text);
  save_session();
  return Next::go_on;
}

ChatLoop::Next ChatLoop::save(const std::string& path) {
  llamajit::save_session(path, model_, conversation_.messages());
  note(fmt::format("{}: {} messages", path, conversation_.messages().size()));
  return Next::go_on;
}

ChatLoop::Next ChatLoop::load_command(const std::string& path) {
  load(path);
  save_session();
  return Next::go_on;
}

ChatLoop::Next ChatLoop::stats(const std::string&) {
  note(fmt::format("{} messages, {} of {} tokens of the context; template {}",
                   conversation_.messages().size(), conversation_.tokens_in_cache(), conversation_.context(),
                   conversation_.chat_template().name()));
  if (!last_) return Next::go_on;
  note(fmt::format(
      "last turn: {} tokens, of which {} were new, {:.1f} tok/s; reply {} tokens, {:.1f} tok/s, ended by: {}",
      last_->prompt_tokens, last_->fed_tokens, rate(last_->fed_tokens, last_->prompt_seconds),
      last_->generated_tokens, rate(last_->generated_tokens, last_->generation_seconds),
      to_string(last_->reason)));
  return Next::go_on;
}

// NOLINTNEXTLINE(readability-convert-member-functions-to-static): the table's commands are members
ChatLoop::Next ChatLoop::quit(const std::string&) {
  return Next::leave;
}

}  // namespace llamajit::cli
