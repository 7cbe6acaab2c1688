#include "runtime/generate/text_foresight.h"

namespace llamajit {

TextForesight::TextForesight(const Sampler& sampler, const Constraint* constraint, const TextEnds& ends)
    : sampler_(sampler), ends_(ends) {
  if (constraint != nullptr) constraint_ = *constraint;
}

TokenId TextForesight::choose(std::span<float> logits) {
  if (constraint_) constraint_->mask(logits);
  ends_.forbid(logits);
  return sampler_.sample(logits);
}

bool TextForesight::accept(TokenId token) {
  if (ends_.at(token) || (constraint_ && !constraint_->try_accept(token))) return false;
  sampler_.accept(token);
  return !constraint_ || !constraint_->must_end();
}

}  // namespace llamajit
