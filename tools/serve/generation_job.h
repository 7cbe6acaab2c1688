// A request that is being answered with text.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/serve/answer.h"
#include "tools/serve/choice_writer.h"
#include "tools/serve/http_exchange.h"
#include "tools/serve/outbox.h"
#include "tools/serve/service.h"

namespace llamajit::serve {

struct ChoiceRequest {
  GenerationRequest generation;
  std::vector<std::string> stops;
  std::string echo{};                     // text that the choice begins with
  std::optional<ReplyReading> reading{};  // of a chat: how the reply is taken apart
};

struct GenerationAnswer {
  std::vector<ChoiceRequest> choices;
  std::unique_ptr<AnswerFormat> format;
  bool streams = false;
};

// Between the scheduler and a connection. It lives until its last choice has ended and the connection knows.
class GenerationJob : public std::enable_shared_from_this<GenerationJob> {
 public:
  // Takes a place in the scheduler's line and answers, in the end. Throws ApiError where there is no place (429, 503).
  // Of those threads that read requests, any may call it.
  static void start(Service& service, GenerationAnswer answer, std::shared_ptr<HttpExchange> exchange);

  GenerationJob(GenerationAnswer answer, std::shared_ptr<HttpExchange> exchange);

 private:
  // On the network's thread.
  void open();
  void deliver();
  void handle(ChoiceEvent event);
  void give_up(const std::string& message);
  void finish();

  // On any.
  void put(ChoiceEvent event);

  std::shared_ptr<HttpExchange> exchange_;
  std::unique_ptr<AnswerFormat> format_;
  bool streams_;
  std::shared_ptr<Ticket> ticket_ = std::make_shared<Ticket>();
  std::vector<ChoiceRequest> requests_;
  std::vector<Choice> choices_;
  std::size_t open_;  // choices that have not ended
  std::string unsent_;
  bool opened_ = false;
  bool over_ = false;
  Outbox outbox_;
};

// Seconds of silence until a stream says something: proxies and clients close what seems dead.
inline constexpr int kHeartbeatSeconds = 10;

}  // namespace llamajit::serve
