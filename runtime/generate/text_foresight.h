// A text's own choices, ahead of it.
#pragma once

#include <optional>

#include "runtime/draft/drafter.h"
#include "runtime/generate/sampler.h"
#include "runtime/generate/text_ends.h"
#include "runtime/grammar/constraint.h"

namespace llamajit {

class TextForesight : public Foresight {
 public:
  // Takes copies of the sampler and the constraint, which may be nullptr.
  TextForesight(Sampler sampler, const Constraint* constraint, const TextEnds& ends);

  TokenId choose(std::span<float> logits) override;
  bool accept(TokenId token) override;

 private:
  Sampler sampler_;
  std::optional<Constraint> constraint_;
  const TextEnds& ends_;
};

}  // namespace llamajit
