// Texts for a scheduler, and what becomes of them.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/generate/generate.h"
#include "runtime/serve/scheduler.h"

namespace llamajit::test {

using Text = std::vector<TokenId>;

inline constexpr int kServedVocab = 100;
inline const SpecialTokens kServedSpecial{.unknown = 0, .bos = 1, .ends = {2}};

// Keeps what it is told, and lets the test wait for the end.
class Recorder : public serve::Listener {
 public:
  explicit Recorder(int most = -1) : most_(most) {}

  // Its `n`th token cancels its text: from another thread a slow moment may let the text end before.
  void cancel_at(std::ptrdiff_t n, std::shared_ptr<serve::Ticket> ticket) {
    cancel_at_ = n;
    ticket_ = std::move(ticket);
  }

  bool take(const serve::Chosen& chosen) override {
    const std::lock_guard lock(mutex_);
    tokens_.push_back(chosen.token);
    logprobs_.push_back(chosen.logprob);
    if (std::ssize(tokens_) == cancel_at_) ticket_->cancel();
    changed_.notify_all();
    return std::ssize(tokens_) != most_;
  }
  void take_embedding(std::span<const float> embedding) override {
    embedding_.assign(embedding.begin(), embedding.end());
  }
  void finish(serve::Finish reason, const serve::GenerationCounts& counts) override {
    end(reason, counts, "");
  }
  void fail(const std::string& what) override { end(serve::Finish::cancelled, {}, what); }

  const Text& wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return over_; });
    return tokens_;
  }
  void wait_for_tokens(std::ptrdiff_t n) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return over_ || std::ssize(tokens_) >= n; });
  }
  serve::Finish reason() const { return reason_; }
  const std::string& fault() const { return fault_; }
  const serve::GenerationCounts& counts() const { return counts_; }
  const std::vector<float>& logprobs() const { return logprobs_; }
  const std::vector<float>& embedding() const { return embedding_; }

 private:
  void end(serve::Finish reason, const serve::GenerationCounts& counts, const std::string& fault) {
    const std::lock_guard lock(mutex_);
    EXPECT_FALSE(over_) << "told twice";
    reason_ = reason;
    counts_ = counts;
    fault_ = fault;
    over_ = true;
    changed_.notify_all();
  }

  int most_;
  std::ptrdiff_t cancel_at_ = -1;
  std::shared_ptr<serve::Ticket> ticket_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Text tokens_;
  std::vector<float> logprobs_;
  std::vector<float> embedding_;
  bool over_ = false;
  serve::Finish reason_{};
  std::string fault_;
  serve::GenerationCounts counts_;
};

struct Asked {
  std::shared_ptr<Recorder> recorder = std::make_shared<Recorder>();
  std::shared_ptr<serve::Ticket> ticket = std::make_shared<serve::Ticket>();
};

inline serve::GenerationRequest request_of(const Text& prompt, int max_tokens,
                                           const SamplerOptions& sampler = {}) {
  serve::GenerationRequest request;
  request.prompt = prompt;
  request.sampler = sampler;
  request.max_tokens = max_tokens;
  return request;
}

inline Asked ask(serve::Scheduler& scheduler, serve::GenerationRequest request, Asked asked = {}) {
  std::vector<serve::WaitingRequest> requests;
  requests.push_back({std::move(request), asked.recorder, asked.ticket, Clock::now()});
  EXPECT_EQ(scheduler.submit(std::move(requests)), serve::Scheduler::Answer::taken);
  return asked;
}

// What generate() makes of it, one text after the other on one thread.
class Alone {
 public:
  explicit Alone(const ModelFile& file) : engine_(file, {.isa = {jit::host_tiers().back()}}) {}
  Text tokens(const serve::GenerationRequest& request) {
    engine_.sequence().cut(0);
    Sampler sampler(request.sampler, [&](std::span<float> x, float scale) { engine_.softmax(x, scale); });
    Text text;
    GenerationOptions options;
    options.max_tokens = request.max_tokens;
    options.ends = ends_of(kServedSpecial, false);
    generate(engine_, sampler, request.prompt, options, [&](TokenId token) { text.push_back(token); });
    return text;
  }

 private:
  Engine engine_;
};

inline EngineOptions engine_options(int threads, int sequences) {
  return {.isa = {jit::host_tiers().back()}, .threads = threads, .sequences = sequences};
}

// Prompts with common beginnings, greedy and drawn, short and longer than a step.
inline std::vector<serve::GenerationRequest> some_requests(int n, int seed) {
  std::mt19937 random(static_cast<unsigned>(seed));
  const auto below = [&](int most) { return static_cast<int>(random() % static_cast<unsigned>(most)); };
  Text common;
  for (int i = 0; i < 300; ++i) common.push_back(3 + below(kServedVocab - 3));
  std::vector<serve::GenerationRequest> requests;
  for (int i = 0; i < n; ++i) {
    Text prompt(common.begin(), common.begin() + below(300));
    for (int own = 1 + below(40); own > 0; --own) prompt.push_back(3 + below(kServedVocab - 3));
    SamplerOptions sampler;
    if (below(3) > 0) {
      sampler = {.temperature = 1, .top_p = 0.9F, .seed = random()};
      if (below(2) > 0) sampler.repeat_penalty = 1.2F;
      if (below(2) > 0) sampler.frequency_penalty = 0.5F;
    }
    requests.push_back(request_of(prompt, 1 + below(30), sampler));
    requests.back().share = fmt::format("key {}", below(3));
    requests.back().reuse_prefix = below(5) > 0;
  }
  return requests;
}

inline serve::GenerationRequest copy_of(const serve::GenerationRequest& r) {
  serve::GenerationRequest copy = request_of(r.prompt, r.max_tokens, r.sampler);
  copy.share = r.share;
  copy.reuse_prefix = r.reuse_prefix;
  return copy;
}

}  // namespace llamajit::test
