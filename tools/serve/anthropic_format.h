// Answers of /v1/messages: https://platform.claude.com/docs/en/api/messages, …/build-with-claude/streaming
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/serve/answer.h"

namespace llamajit::serve {

struct AnthropicOptions {
  std::string id;
  std::string model;               // as the request calls it
  std::vector<std::string> stops;  // the request's own
  FormMembers form_members;
};

// One answer is a list of blocks: what the model thought, what it says, and each call of a tool.
class AnthropicFormat : public AnswerFormat {
 public:
  explicit AnthropicFormat(AnthropicOptions options) : options_(std::move(options)) {}

  Json whole(std::span<const Choice> choices) override;
  HttpReply failure(const std::string& message) const override;
  std::string begin() override;
  std::string piece(std::size_t choice, const Piece& piece) override;
  std::string ending(std::size_t choice, const Ending& ending) override;
  std::string end() override { return {}; }
  std::string fault(const std::string& message) override;
  std::string heartbeat() const override;
  FormMembers form_members() const override { return options_.form_members; }
  void set_prompt_tokens(int tokens) override { prompt_tokens_ = tokens; }

 private:
  enum class Kind : std::uint8_t { none, thinking, text, call };

  Json message(Json content) const;
  Json delta(const Ending& ending) const;  // what an answer's end tells

  // All write to events_.
  void event(std::string_view type, const Json& members);
  void block_delta(Json delta);
  void close();
  void open(Kind kind, const Json& block);
  void write(Kind kind, const std::string& text);
  void write_call(const ToolPiece& piece);
  std::string take_events() { return std::exchange(events_, {}); }

  AnthropicOptions options_;
  int prompt_tokens_ = 0;
  Kind kind_ = Kind::none;  // of the block that is being written
  int call_ = -1;           // its index among the calls, if it is one
  int block_ = 0;           // its index
  std::string events_;      // that are to be sent
};

}  // namespace llamajit::serve
