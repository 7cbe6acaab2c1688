// What is asked of the scheduler, and who is told of what becomes of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/generate/sampler.h"
#include "runtime/grammar/constraint.h"
#include "runtime/model/config.h"
#include "tokenizer/vocab.h"

namespace llamajit::serve {

struct GenerationRequest {
  std::vector<TokenId> prompt;  // one token at least
  SamplerOptions sampler{};
  int max_tokens = -1;       // < 0: to the context's end
  bool ignore_eos = false;   // never choose a token that ends the text
  int top_logprobs = -1;     // < 0: no logarithms of probabilities at all
  bool reuse_prefix = true;  // take what other texts began with alike from the cache
  std::string share;         // requests with the same one share what falls to it of the engine
  std::unique_ptr<Constraint> constraint{};  // what the text is held to
  std::optional<Pooling> pooling{};          // wants the prompt's embedding; max_tokens is 0
};

struct Likely {
  TokenId token;
  float logprob;  // natural, of the model's own distribution: before temperature, penalties and filters
};

// A token of the text.
struct Chosen {
  TokenId token;
  TokenId previous;  // the one before it, for Tokenizer::decode()
  float logprob = 0;
  std::span<const Likely> top{};  // as many as were asked for, the likeliest first
};

enum class Finish : std::uint8_t {
  stop,       // a token that ends the text, or the listener's word
  length,     // max_tokens, or the context's end
  cancelled,  // nobody wants to know any more
};

struct GenerationCounts {
  int prompt_tokens = 0;
  int cached_tokens = 0;  // of the prompt, what did not have to be computed
  int generated_tokens = 0;
  int drafted_tokens = 0;         // that were guessed
  int accepted_tokens = 0;        // of these, what the text has
  double waiting_seconds = 0;     // until it had its place
  double prompt_seconds = 0;      // from there to the first logits
  double generation_seconds = 0;  // everything after that
};

// The scheduler's thread calls it, one call at a time, and waits meanwhile: calls should be short. fail() and finish()
// are the last calls; one of them always comes.
class Listener {
 public:
  virtual ~Listener() = default;
  // False: the text ends here; the token was its last.
  virtual bool take(const Chosen& chosen) = 0;
  // Of a request for one: the embedding (dim), just before finish(). It is not normalized.
  virtual void take_embedding(std::span<const float> /*embedding*/) {}
  virtual void finish(Finish reason, const GenerationCounts& counts) = 0;
  // The text could not be gone on with.
  virtual void fail(const std::string& what) = 0;
};

// One request's place in the scheduler. Any thread may cancel it: no step that begins later works for it.
class Ticket {
 public:
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_{false};
};

}  // namespace llamajit::serve
