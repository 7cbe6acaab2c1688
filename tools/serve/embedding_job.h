// A request that is being answered with embeddings.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/generate/embedding.h"
#include "tools/serve/http_exchange.h"
#include "tools/serve/service.h"

namespace llamajit::serve {

struct EmbeddingRequest {
  std::vector<std::vector<TokenId>> texts;  // one at least, of one token at least
  Pooling pooling = Pooling::mean;
  bool normalizes = true;
  int dimensions = 0;  // the first so many, normalized anew; 0: all
  std::string share;
};

struct Embeddings {
  std::vector<std::vector<float>> vectors;  // in the texts' order
  int prompt_tokens = 0;
  double seconds = 0;  // from the request to the last vector
};

// Its texts are rows of the engine's steps as prompts are, a few of them at a time, so that a long list takes no more
// of the waiting line than they do.
class EmbeddingJob : public std::enable_shared_from_this<EmbeddingJob> {
 public:
  // The form that an API gives to them.
  using Form = std::function<HttpReply(const Embeddings&)>;
  using Failure = std::function<HttpReply(const std::string& message)>;

  // Takes places in the scheduler's line and answers, in the end. Throws ApiError where there is no place (429, 503).
  static void start(Service& service, EmbeddingRequest request, std::shared_ptr<HttpExchange> exchange,
                    Form form, Failure failure);

  EmbeddingJob(Scheduler& scheduler, EmbeddingRequest request, std::shared_ptr<HttpExchange> exchange,
               Form form, Failure failure);

 private:
  class TextListener;

  WaitingRequest next();
  void ended(std::size_t text, std::vector<float> embedding, const GenerationCounts& counts);
  void failed(const std::string& what);
  void answer();

  Scheduler& scheduler_;
  EmbeddingRequest request_;
  std::shared_ptr<HttpExchange> exchange_;
  Form form_;
  Failure failure_;
  std::shared_ptr<Ticket> ticket_ = std::make_shared<Ticket>();
  Clock::time_point start_ = Clock::now();
  // Behind submit(), the scheduler's thread alone has these, until it hands them to the network's.
  std::size_t begun_ = 0;
  std::size_t open_ = 0;
  std::optional<std::string> fault_;
  Embeddings result_;
};

}  // namespace llamajit::serve
