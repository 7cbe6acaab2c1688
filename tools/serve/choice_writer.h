// Makes text of a choice's tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/chat/reply_parser.h"
#include "runtime/generate/reply_stream.h"
#include "runtime/serve/generation.h"
#include "tokenizer/tokenizer.h"
#include "tools/serve/outbox.h"

namespace llamajit::serve {

// How a chat's reply is taken apart: into thoughts, content and calls of tools.
struct ReplyReading {
  ToolForm form;  // which pieces of the vocabulary are markers
  ReplyParserOptions parser;
  std::uint64_t call_seed = 0;  // of the calls' ids
  std::string before{};  // what the parser is given before the reply, and behind it where it came to its end
  std::string behind{};
};

class ChoiceWriter : public Listener {
 public:
  // Each event goes to `put`, on the scheduler's thread.
  using Put = std::function<void(ChoiceEvent)>;
  ChoiceWriter(std::size_t choice, const Tokenizer& tokenizer, std::vector<std::string> stops, bool logprobs,
               Put put);

  void take_apart(ReplyReading reading);

  bool take(const Chosen& chosen) override;
  void finish(Finish reason, const GenerationCounts& counts) override;
  void fail(const std::string& what) override;

 private:
  void send(std::string text, std::vector<TokenLogprob> logprobs);
  void add(Piece& piece, std::vector<ReplyEvent> events) const;

  std::size_t choice_;
  const Tokenizer& tokenizer_;
  ReplyStream stream_;
  bool logprobs_;
  Put put_;
  std::optional<ReplyReading> reading_;
  std::optional<ReplyParser> parser_;
};

}  // namespace llamajit::serve
