// Answers of /v1/responses: https://platform.openai.com/docs/api-reference/responses, …/responses-streaming
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "tools/serve/answer.h"

namespace llamajit::serve {

// One answer is a list of items: what the model thought, what it says, and each call of a tool.
class ResponsesFormat : public AnswerFormat {
 public:
  // It is moved once, before anything is answered.
  struct Options {  // NOLINT(bugprone-exception-escape)
    Json response;  // its members, but for status, output and usage
    std::function<int(std::string_view)> count_tokens;
    std::function<void(const Json&)> keep{};  // is told of each item, where they are to be kept
  };
  explicit ResponsesFormat(Options options) : options_(std::move(options)) {}

  Json whole(std::span<const Choice> choices) override;
  std::string begin() override;
  std::string piece(std::size_t choice, const Piece& piece) override;
  std::string ending(std::size_t choice, const Ending& ending) override;
  std::string end() override { return {}; }
  std::string fault(const std::string& message) override;
  FormMembers form_members() const override {
    return {.form = "text.format", .schema = "text.format.schema"};
  }

 private:
  enum class Kind : std::uint8_t { none, reasoning, message, call };
  // An item that is being written.
  struct Item {
    Kind kind = Kind::none;
    std::string id;
    std::string text;  // so far
    ToolPiece call;
  };

  // All write to events_.
  void event(std::string_view type, const Json& members);
  void part_event(std::string_view type, const Json& members);
  void open();
  void close(const char* status);
  void switch_to(Kind kind, const ToolPiece* call = nullptr);
  void write(Kind kind, const std::string& text);
  void write_call(const ToolPiece& piece);
  std::string take_events() { return std::exchange(events_, {}); }

  Json response(const char* status) const;
  Json finished(const Ending& ending);
  void add_output(const Item& item, const char* status);

  Options options_;
  Item item_;
  Json output_ = Json::array();  // what has ended
  int reasoning_tokens_ = 0;
  int sequence_ = 0;    // of the next event
  std::string events_;  // that are to be sent
};

}  // namespace llamajit::serve
