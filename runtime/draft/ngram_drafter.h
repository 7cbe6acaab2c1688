// Guesses by what came before: where the text's last tokens stood already, in itself or in another text, what came behind
// them there may come again (prompt lookup decoding, Saxena 2023; LLMA, Yang et al., arXiv:2304.04487). A text that says it
// otherwise in a word is still expected to go on as there behind it.
#pragma once

#include <memory>
#include <vector>

#include "runtime/draft/drafter.h"
#include "runtime/draft/token_history.h"

namespace llamajit {

class NgramDrafter : public Drafter {
 public:
  // `other` may be nullptr. Drafters of several texts may share it.
  explicit NgramDrafter(std::shared_ptr<const TokenHistory> other = nullptr) : other_(std::move(other)) {}

  bool begin(std::span<const TokenId> text) override;
  // What the longest match has, of the draft's tokens, too: as the place goes on that the last guess was from, or another
  // one. The longer the match, the surer, and surer still where all places with it agree.
  std::optional<Guess> next(Foresight& foresight) override;

 private:
  void follow_trail(std::span<const TokenId> text, std::size_t known);
  void look_for_longer_match();

  std::shared_ptr<const TokenHistory> other_;
  TokenHistory own_;
  std::vector<TokenId> end_;  // of the text, and behind it the draft
  std::size_t drafted_ = 0;
  const TokenHistory* source_ = nullptr;  // of the last guess
  TokenHistory::Match match_{};           // its
  // Where the text would go on that the last draft was from, with how much of it the text had, and less with each token
  // that was another.
  const TokenHistory* trail_ = nullptr;
  TokenHistory::Match trail_match_{};
  bool by_trail_ = false;  // the draft at hand
};

}  // namespace llamajit
