#include "tools/serve/embedding_job.h"

#include <algorithm>
#include <utility>

namespace llamajit::serve {
namespace {

constexpr std::size_t kAtOnce = 8;

std::vector<float> shaped(std::vector<float> vector, const EmbeddingRequest& request) {
  if (request.dimensions > 0) vector.resize(static_cast<std::size_t>(request.dimensions));
  if (request.normalizes) normalize(vector);
  return vector;
}

}  // namespace

class EmbeddingJob::TextListener : public Listener {
 public:
  TextListener(std::shared_ptr<EmbeddingJob> job, std::size_t text) : job_(std::move(job)), text_(text) {}

  bool take(const Chosen& /*chosen*/) override { return false; }
  void take_embedding(std::span<const float> embedding) override {
    embedding_.assign(embedding.begin(), embedding.end());
  }
  void finish(Finish reason, const GenerationCounts& counts) override {
    if (reason == Finish::cancelled) return job_->failed("the request was cancelled");
    job_->ended(text_, std::move(embedding_), counts);
  }
  void fail(const std::string& what) override { job_->failed(what); }

 private:
  std::shared_ptr<EmbeddingJob> job_;
  std::size_t text_;
  std::vector<float> embedding_;
};

EmbeddingJob::EmbeddingJob(Scheduler& scheduler, EmbeddingRequest request,
                           std::shared_ptr<HttpExchange> exchange, Form form, Failure failure)
    : scheduler_(scheduler),
      request_(std::move(request)),
      exchange_(std::move(exchange)),
      form_(std::move(form)),
      failure_(std::move(failure)) {
  result_.vectors.resize(request_.texts.size());
}

void EmbeddingJob::start(Service& service, EmbeddingRequest request, std::shared_ptr<HttpExchange> exchange,
                         Form form, Failure failure) {
  const auto job = std::make_shared<EmbeddingJob>(service.scheduler, std::move(request), std::move(exchange),
                                                  std::move(form), std::move(failure));
  job->exchange_->post([job] { job->exchange_->on_gone([ticket = job->ticket_] { ticket->cancel(); }); });
  std::vector<WaitingRequest> first;
  while (first.size() < std::min(kAtOnce, job->request_.texts.size())) first.push_back(job->next());
  service.submit(std::move(first));
}

WaitingRequest EmbeddingJob::next() {
  const std::size_t text = begun_++;
  ++open_;
  GenerationRequest request;
  request.prompt = std::move(request_.texts[text]);
  request.max_tokens = 0;
  request.reuse_prefix = false;  // all tokens' hidden states are wanted, and none is kept
  request.share = request_.share;
  request.pooling = request_.pooling;
  return {std::move(request), std::make_shared<TextListener>(shared_from_this(), text), ticket_,
          Clock::now()};
}

void EmbeddingJob::ended(std::size_t text, std::vector<float> embedding, const GenerationCounts& counts) {
  result_.vectors[text] = shaped(std::move(embedding), request_);
  result_.prompt_tokens += counts.prompt_tokens;
  --open_;
  if (!fault_ && begun_ < request_.texts.size()) return scheduler_.submit_next(next());
  if (open_ == 0) answer();
}

void EmbeddingJob::failed(const std::string& what) {
  if (!fault_) fault_ = what;
  ticket_->cancel();
  if (--open_ == 0) answer();
}

void EmbeddingJob::answer() {
  result_.seconds = seconds_since(start_);
  exchange_->post([self = shared_from_this()] {
    self->exchange_->send(self->fault_ ? self->failure_(*self->fault_) : self->form_(self->result_));
  });
}

}  // namespace llamajit::serve
