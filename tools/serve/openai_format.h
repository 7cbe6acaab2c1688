// Answers of /v1/chat/completions and /v1/completions.
// https://platform.openai.com/docs/api-reference/chat, …/completions
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tools/serve/answer.h"
#include "tools/serve/reply_header.h"

namespace llamajit::serve {

struct OpenAiOptions {
  bool include_usage = false;  // in a stream
  std::size_t per_prompt = 1;  // choices for each prompt
};

// What both have: chunks with a list of choices, usage and [DONE] behind them.
class OpenAiFormat : public AnswerFormat {
 public:
  OpenAiFormat(ReplyHeader header, OpenAiOptions options, std::string object, std::string chunk_object);

  Json whole(std::span<const Choice> choices) override;
  std::string ending(std::size_t choice, const Ending& ending) override;
  std::string end() override;
  std::string fault(const std::string& message) override;

 protected:
  // Of choice number `index`, but for its index and finish_reason.
  virtual Json choice_body(std::size_t index, const Choice& choice) const = 0;
  virtual Json last_chunk_body() const = 0;
  // A chunk with this choice, whose members stand in `choice` as JSON.
  std::string chunk(std::size_t index, const std::string& members, const char* reason) const;

 private:
  Json envelope(const std::string& object) const;

  ReplyHeader header_;
  OpenAiOptions options_;
  std::string object_;
  std::string chunk_begin_;  // of each chunk, up to the choice's index
  std::string chunk_object_;
  Usage usage_;
};

class ChatFormat : public OpenAiFormat {
 public:
  ChatFormat(ReplyHeader header, OpenAiOptions options, std::size_t choices);
  std::string begin() override;
  std::string piece(std::size_t choice, const Piece& piece) override;

 protected:
  Json choice_body(std::size_t index, const Choice& choice) const override;
  Json last_chunk_body() const override { return {{"delta", Json::object()}}; }

 private:
  std::size_t choices_;
};

class CompletionFormat : public OpenAiFormat {
 public:
  // `echoes`: what the text of each choice begins with.
  CompletionFormat(ReplyHeader header, OpenAiOptions options, std::span<const std::string> echoes);
  std::string begin() override { return {}; }
  std::string piece(std::size_t choice, const Piece& piece) override;

 protected:
  Json choice_body(std::size_t index, const Choice& choice) const override;
  Json last_chunk_body() const override { return {{"text", ""}}; }

 private:
  std::vector<std::size_t> next_offsets_;  // of each choice's next token, in characters of its text
};

}  // namespace llamajit::serve
