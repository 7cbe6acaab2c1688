// Answers of /api/chat and /api/generate: lines of JSON, of which the last one says done.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "tools/serve/answer.h"

namespace llamajit::serve {

struct OllamaOptions {
  std::string model;           // as the request calls it
  bool chat = true;            // a message; else a response
  bool shows_thinking = true;  // else it is left out
};

// Every line has a message with a role, and the last one an empty content: clients leave out, or do not take, others.
class OllamaFormat : public AnswerFormat {
 public:
  explicit OllamaFormat(OllamaOptions options) : options_(std::move(options)) {}

  Json whole(std::span<const Choice> choices) override;
  HttpReply failure(const std::string& message) const override;
  std::string content_type() const override { return "application/x-ndjson"; }
  std::string begin() override { return heartbeat(); }
  std::string piece(std::size_t choice, const Piece& piece) override;
  std::string ending(std::size_t choice, const Ending& ending) override;
  std::string end() override { return {}; }
  std::string fault(const std::string& message) override;
  // A line that says nothing: clients take empty ones for broken ones.
  std::string heartbeat() const override;
  FormMembers form_members() const override { return {.form = "format", .schema = "format"}; }
  // To a request that generates nothing, and only makes sure that the model is there.
  Json load() const;

 private:
  Json line(const Piece& piece, bool done) const;
  std::string finish_call();

  OllamaOptions options_;
  std::optional<ToolPiece> call_;  // as far as it has come: clients take calls as a whole
};

// As in RFC 3339, with nine digits of a second's fraction: "2026-11-29T12:51:57.000000000Z".
std::string rfc3339(std::chrono::system_clock::time_point time);

}  // namespace llamajit::serve
