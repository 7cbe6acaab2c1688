// Guesses by what came before: where the text's last tokens stood already, in itself or in another text, what came behind
// them there may come again (prompt lookup decoding, Saxena 2023; LLMA, Yang et al., arXiv:2304.04487).
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

  void begin(std::span<const TokenId> text) override;
  // The longer the match, the surer.
  std::optional<Guess> next(Foresight& foresight) override;

 private:
  std::shared_ptr<const TokenHistory> other_;
  TokenHistory own_;
  std::vector<TokenId> draft_;
  const TokenHistory* source_ = nullptr;  // nullptr: nothing was found
  TokenHistory::Match match_{};           // of the next token
};

}  // namespace llamajit
