#include "tools/serve/choice_writer.h"

#include <utility>

namespace llamajit::serve {

ChoiceWriter::ChoiceWriter(std::size_t choice, const Tokenizer& tokenizer, std::vector<std::string> stops,
                           bool logprobs, Put put)
    : choice_(choice),
      tokenizer_(tokenizer),
      stream_(std::move(stops)),
      logprobs_(logprobs),
      put_(std::move(put)) {}

bool ChoiceWriter::take(const Chosen& chosen) {
  const std::string_view bytes = tokenizer_.decode(chosen.previous, chosen.token);
  std::vector<TokenLogprob> logprobs;
  if (logprobs_) {
    logprobs.push_back({{std::string(bytes), chosen.logprob}, {}});
    for (const Likely& likely : chosen.top) {
      logprobs.back().top.push_back(
          {std::string(tokenizer_.decode(chosen.previous, likely.token)), likely.logprob});
    }
  }
  send(stream_.push(bytes), std::move(logprobs));
  return !stream_.stopped();
}

void ChoiceWriter::send(std::string text, std::vector<TokenLogprob> logprobs) {
  Piece piece;
  piece.content = std::move(text);
  piece.logprobs = std::move(logprobs);
  if (!piece.empty()) put_({choice_, std::move(piece)});
}

void ChoiceWriter::finish(Finish reason, const GenerationCounts& counts) {
  send(stream_.finish(), {});
  put_({choice_, Ending{.reason = reason, .counts = counts}});
}

void ChoiceWriter::fail(const std::string& what) {
  put_({choice_, Fault{what}});
}

}  // namespace llamajit::serve
