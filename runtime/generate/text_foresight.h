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
  // Copies the sampler and the constraint, which may be nullptr, once it is asked: most steps have no draft where none pays.
  TextForesight(const Sampler& sampler, const Constraint* constraint, const TextEnds& ends)
      : of_(sampler), constraint_of_(constraint), ends_(ends) {}

  TokenId choose(std::span<float> logits) override;
  bool accept(TokenId token) override;

 private:
  void look_ahead();

  const Sampler& of_;
  const Constraint* constraint_of_;
  std::optional<Sampler> sampler_;
  std::optional<Constraint> constraint_;
  const TextEnds& ends_;
};

}  // namespace llamajit
