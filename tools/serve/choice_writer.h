// Makes text of a choice's tokens.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "runtime/generate/reply_stream.h"
#include "runtime/serve/generation.h"
#include "tokenizer/tokenizer.h"
#include "tools/serve/outbox.h"

namespace llamajit::serve {

class ChoiceWriter : public Listener {
 public:
  // Each event goes to `put`, on the scheduler's thread.
  using Put = std::function<void(ChoiceEvent)>;
  ChoiceWriter(std::size_t choice, const Tokenizer& tokenizer, std::vector<std::string> stops, bool logprobs,
               Put put);

  bool take(const Chosen& chosen) override;
  void finish(Finish reason, const GenerationCounts& counts) override;
  void fail(const std::string& what) override;

 private:
  void send(std::string text, std::vector<TokenLogprob> logprobs);

  std::size_t choice_;
  const Tokenizer& tokenizer_;
  ReplyStream stream_;
  bool logprobs_;
  Put put_;
};

}  // namespace llamajit::serve
