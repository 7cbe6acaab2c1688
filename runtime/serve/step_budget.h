// How many tokens of prompts a step may take, so that nobody waits for it too long.
#pragma once

namespace llamajit::serve {

// Learns from the steps what they cost: a part that every step has, and one for each token of a prompt. What is
// learnt moves tokens between steps only; no logits depend on it.
class StepBudget {
 public:
  // `most_ms`: what a step should not exceed; `most_tokens`: beyond which more at once are no cheaper.
  StepBudget(double most_ms, int most_tokens) : most_ms_(most_ms), most_tokens_(most_tokens) {}

  // Tokens of prompts for the next step.
  int prompt_tokens() const;
  // A step took so many tokens of prompts, beside those that were decoded, and so long.
  void learn(int prompt_tokens, double ms);

  // Whatever a step costs, prompts go on.
  static constexpr int kLeast = 8;

 private:
  double most_ms_;
  int most_tokens_;
  double base_ms_ = 0;   // of steps without prompts
  double token_ms_ = 0;  // of each token of a prompt; 0: not known yet
};

}  // namespace llamajit::serve
