#include "tools/serve/generation_job.h"

#include <utility>

#include <fmt/format.h>

#include "tools/serve/replies.h"

namespace llamajit::serve {
namespace {

void append(Piece& whole, Piece piece) {
  whole.content += piece.content;
  whole.reasoning += piece.reasoning;
  for (ToolPiece& tool : piece.tools) {
    if (tool.index == static_cast<int>(whole.tools.size())) {
      whole.tools.push_back(std::move(tool));
    } else {
      whole.tools[static_cast<std::size_t>(tool.index)].arguments += tool.arguments;
    }
  }
  for (TokenLogprob& logprob : piece.logprobs) whole.logprobs.push_back(std::move(logprob));
}

}  // namespace

GenerationJob::GenerationJob(GenerationAnswer answer, std::shared_ptr<HttpExchange> exchange)
    : exchange_(std::move(exchange)),
      format_(std::move(answer.format)),
      streams_(answer.streams),
      requests_(std::move(answer.choices)),
      choices_(requests_.size()),
      open_(requests_.size()) {}

void GenerationJob::start(Service& service, GenerationAnswer answer, std::shared_ptr<HttpExchange> exchange) {
  const auto job = std::make_shared<GenerationJob>(std::move(answer), std::move(exchange));
  std::vector<WaitingRequest> waiting;
  for (std::size_t i = 0; i < job->requests_.size(); ++i) {
    ChoiceRequest& request = job->requests_[i];
    const bool logprobs = request.generation.top_logprobs >= 0;
    auto writer = std::make_shared<ChoiceWriter>(i, service.tokenizer, std::move(request.stops), logprobs,
                                                 [job](ChoiceEvent event) { job->put(std::move(event)); });
    if (request.reading) writer->take_apart(*std::move(request.reading));
    waiting.push_back({std::move(request.generation), std::move(writer), job->ticket_, Clock::now()});
  }
  service.submit(std::move(waiting));
  job->exchange_->post([job] { job->open(); });
}

void GenerationJob::put(ChoiceEvent event) {
  if (outbox_.put(std::move(event))) {
    exchange_->post([self = shared_from_this()] { self->deliver(); });
  }
}

void GenerationJob::open() {
  if (std::exchange(opened_, true)) return;
  exchange_->on_gone([self = shared_from_this()] { self->ticket_->cancel(); });
  if (!streams_) return;
  exchange_->begin({200, format_->content_type(), "", {{"Cache-Control", "no-cache"}}});
  exchange_->write(format_->begin());
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    if (requests_[i].echo.empty()) continue;
    Piece echo;
    echo.content = requests_[i].echo;
    exchange_->write(format_->piece(i, echo));
  }
  exchange_->on_quiet(kHeartbeatSeconds,
                      [self = shared_from_this()] { self->exchange_->write(self->format_->heartbeat()); });
}

void GenerationJob::deliver() {
  open();  // the first token may be here before the word that the request was taken
  for (auto events = outbox_.take(); !events.empty(); events = outbox_.take()) {
    for (ChoiceEvent& event : events) handle(std::move(event));
    if (!unsent_.empty() && !over_) exchange_->write(std::exchange(unsent_, {}));
  }
  if (open_ == 0) finish();
}

void GenerationJob::handle(ChoiceEvent event) {
  const std::size_t i = event.choice;
  if (auto* const fault = std::get_if<Fault>(&event.what)) {
    --open_;
    give_up(fault->message);
  } else if (auto* const piece = std::get_if<Piece>(&event.what)) {
    if (streams_) {
      unsent_ += format_->piece(i, *piece);
    } else {
      append(choices_[i].whole, std::move(*piece));
    }
  } else {
    --open_;
    choices_[i].ending = std::get<Ending>(event.what);
    if (streams_) unsent_ += format_->ending(i, choices_[i].ending);
  }
}

void GenerationJob::give_up(const std::string& message) {
  if (std::exchange(over_, true)) return;
  ticket_->cancel();
  if (!streams_) return exchange_->send(format_->failure(message));
  exchange_->write(unsent_ + format_->fault(message));
  exchange_->break_off();
}

void GenerationJob::finish() {
  if (std::exchange(over_, true)) return;
  if (streams_) {
    exchange_->write(format_->end());
    exchange_->end();
    return;
  }
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    choices_[i].whole.content.insert(0, requests_[i].echo);
  }
  exchange_->send(json_reply(format_->whole(choices_)));
}

}  // namespace llamajit::serve
