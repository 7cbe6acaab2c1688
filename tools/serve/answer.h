// What becomes of a request's choices, before an API gives it its form.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "runtime/serve/generation.h"
#include "tools/serve/api_error.h"
#include "tools/serve/http_exchange.h"
#include "tools/serve/json_text.h"
#include "tools/serve/replies.h"

namespace llamajit::serve {

struct LikelyText {
  std::string bytes;  // of the token
  float logprob;
};
struct TokenLogprob {
  LikelyText chosen;
  std::vector<LikelyText> top;
};

// A call of a tool as it is written: the first piece has id and name, later ones go on with the arguments.
struct ToolPiece {
  int index = 0;  // of the choice's calls, from 0
  std::string id;
  std::string name;
  std::string arguments;  // JSON, or a part of it; nothing of a call that was cut off before them
};

// What a choice has more than before: whole characters.
struct Piece {
  std::string content;
  std::string reasoning;
  std::vector<ToolPiece> tools;
  std::vector<TokenLogprob> logprobs;

  bool empty() const { return content.empty() && reasoning.empty() && tools.empty() && logprobs.empty(); }
};

struct Ending {
  Finish reason = Finish::stop;
  bool calls_tools = false;
  GenerationCounts counts;
  std::string stop{};  // the stop string that ended it; empty: none did
};

// A choice from beginning to end.
struct Choice {
  Piece whole;
  Ending ending;
};

// What requests of an API call the form that an answer is held to, and its schema.
struct FormMembers {
  std::string form = "response_format";
  std::string schema = "response_format.json_schema.schema";
};

// The form that an API gives to an answer. One object serves one request.
class AnswerFormat {
 public:
  virtual ~AnswerFormat() = default;
  // All at once.
  virtual Json whole(std::span<const Choice> choices) = 0;
  // In its place, where something went wrong.
  virtual HttpReply failure(const std::string& message) const { return error_reply(ApiError(500, message)); }
  // As a stream: its type, what it begins with, what it says of a choice, and its end once all choices have ended.
  virtual std::string content_type() const { return "text/event-stream"; }
  virtual std::string begin() = 0;
  virtual std::string piece(std::size_t choice, const Piece& piece) = 0;
  virtual std::string ending(std::size_t choice, const Ending& ending) = 0;
  virtual std::string end() = 0;
  // Something went wrong in the middle; the connection is broken off behind it.
  virtual std::string fault(const std::string& message) = 0;
  // For those who count silence: something that changes nothing.
  virtual std::string heartbeat() const { return ": \n\n"; }
  virtual FormMembers form_members() const { return {}; }
  // Told before anything else, by those who know.
  virtual void set_prompt_tokens(int /*tokens*/) {}
};

}  // namespace llamajit::serve
