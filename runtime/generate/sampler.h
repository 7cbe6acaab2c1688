// Chooses the next token from the logits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tokenizer/vocab.h"

namespace llamajit {

struct SamplerOptions {
  float temperature = 0;  // 0 .. 1e9; 0: argmax, the first maximum wins
  float top_p = 1;        // (0, 1]; keep the smallest set of tokens whose probabilities sum to more; 1: off
  int top_k = 0;          // > 0: keep only the k most likely tokens
  float min_p = 0;        // [0, 1); > 0: keep only tokens with p >= min_p * p_max
  float repeat_penalty =
      1;                   // > 1: makes the last `repeat_last_n` tokens less likely (CTRL, arXiv:1909.05858)
  int repeat_last_n = 64;  // 0: none, -1: all
  // Taken from the logits of tokens that sample() gave already, prompts aside: once, and for each time (as OpenAI's
  // API has them, -2 .. 2 there). 0: off.
  float presence_penalty = 0;
  float frequency_penalty = 0;
  std::vector<std::pair<TokenId, float>> logit_bias{};  // added to the logits of these tokens
  std::uint64_t seed = 0;
};

// x <- softmax(x * scale), in place. Injected, so that the token path runs generated code for it. The sampler
// calls it with finite x, whose products with `scale` are finite, too.
using Softmax = std::function<void(std::span<float> x, float scale)>;

// The order of the options: logit_bias, presence_penalty and frequency_penalty, repeat_penalty on the logits; softmax(logits / temperature); top_k; min_p; top_p.
// Each works on what the one before it kept, as if the probabilities had been made to sum to 1 again.
//
// With temperature, top_p and seed alone the draws are those of llama2.c: the same xorshift* generator, one
// number a token, the same sums in the same order. Where llama2.c leaves things to chance: equally likely
// tokens are sorted by id, and a token whose probability is 0 is never drawn.
//
// A logit of -infinity counts as probability 0. Logits of which one is NaN or +infinity, or all are -infinity,
// are the sign of damaged weights or of an overflow: they have no token.
class Sampler {
 public:
  // Throws std::invalid_argument that names the option whose value makes no sense.
  Sampler(const SamplerOptions& options, Softmax softmax);

  // True when sample() is a plain argmax over untouched logits, which callers may do more cheaply.
  bool is_argmax() const;
  // Picks a token, or -1 where the logits have none; overwrites the logits. Allocates at the first call only.
  TokenId sample(std::span<float> logits);
  // The text that is gone on with, from its beginning, in the place of any other; the random numbers go on.
  void begin(std::span<const TokenId> text);
  // Tells the sampler of a token that is now in the text, from sample().
  void accept(TokenId token);

 private:
  struct Candidate {
    float probability;
    TokenId token;
  };
  static bool more_likely(const Candidate& a, const Candidate& b);

  void read(TokenId token);
  bool penalises() const;
  bool counts() const { return options_.presence_penalty != 0 || options_.frequency_penalty != 0; }
  void penalise(std::span<float> logits);
  void add_bias(std::span<float> logits) const;
  float next_random();
  static TokenId draw_from_all(std::span<const float> probabilities, float coin);
  TokenId draw_from_candidates(std::span<const float> probabilities, float coin);
  void collect_candidates(std::span<const float> probabilities);
  float sort_until(float limit);

  SamplerOptions options_;
  Softmax softmax_;
  std::uint64_t rng_state_;
  std::vector<TokenId> history_;        // the last repeat_last_n tokens, as a ring; in no useful order
  std::size_t oldest_ = 0;              // in history_, once it is full
  std::vector<std::uint32_t> seen_in_;  // (vocab): the penalise() call that last met the token
  std::uint32_t penalise_calls_ = 0;
  std::unordered_map<TokenId, int> times_;  // that accept() was told of a token
  std::vector<Candidate> candidates_;       // scratch: what may be drawn, most likely first
};

}  // namespace llamajit
