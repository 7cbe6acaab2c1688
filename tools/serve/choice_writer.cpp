#include "tools/serve/choice_writer.h"

#include <utility>

#include "runtime/chat/call_id.h"

namespace llamajit::serve {

ChoiceWriter::ChoiceWriter(std::size_t choice, const Tokenizer& tokenizer, std::vector<std::string> stops,
                           bool logprobs, Put put)
    : choice_(choice),
      tokenizer_(tokenizer),
      stream_(std::move(stops)),
      logprobs_(logprobs),
      put_(std::move(put)) {}

void ChoiceWriter::take_apart(ReplyReading reading) {
  parser_.emplace(reading.parser);
  parser_->push(reading.before);
  reading_ = std::move(reading);
}

bool ChoiceWriter::take(const Chosen& chosen) {
  const std::string_view bytes = reading_
                                     ? reply_bytes(tokenizer_, chosen.previous, chosen.token, reading_->form)
                                     : tokenizer_.decode(chosen.previous, chosen.token);
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
  piece.logprobs = std::move(logprobs);
  if (parser_) {
    add(piece, parser_->push(text));
  } else {
    piece.content = std::move(text);
  }
  if (!piece.empty()) put_({choice_, std::move(piece)});
}

void ChoiceWriter::add(Piece& piece, std::vector<ReplyEvent> events) const {
  for (ReplyEvent& event : events) {
    switch (event.kind) {
      case ReplyEvent::Kind::reasoning:
        piece.reasoning += event.text;
        break;
      case ReplyEvent::Kind::content:
        piece.content += event.text;
        break;
      case ReplyEvent::Kind::call_begin: {
        const auto index = static_cast<std::uint64_t>(event.call);
        piece.tools.push_back(
            {event.call, tool_call_id(reading_->call_seed, index), std::move(event.text), ""});
        break;
      }
      case ReplyEvent::Kind::call_arguments:
        if (piece.tools.empty() || piece.tools.back().index != event.call) {
          piece.tools.push_back({event.call, "", "", ""});
        }
        piece.tools.back().arguments += event.text;
        break;
      case ReplyEvent::Kind::call_end:
        break;
    }
  }
}

void ChoiceWriter::finish(Finish reason, const GenerationCounts& counts) {
  std::string rest = stream_.finish();
  if (reading_ && reason == Finish::stop) rest += reading_->behind;
  send(std::move(rest), {});
  if (parser_) {
    Piece last;
    add(last, parser_->finish());
    if (!last.empty()) put_({choice_, std::move(last)});
  }
  const bool calls_tools = parser_ && parser_->calls() > 0;
  put_({choice_,
        Ending{.reason = reason, .calls_tools = calls_tools, .counts = counts, .stop = stream_.stop()}});
}

void ChoiceWriter::fail(const std::string& what) {
  put_({choice_, Fault{what}});
}

}  // namespace llamajit::serve
