#include "runtime/generate/text_foresight.h"

#include <stdexcept>
#include <utility>

namespace llamajit {

TextForesight::TextForesight(Sampler sampler, const Constraint* constraint, const TextEnds& ends)
    : sampler_(std::move(sampler)), ends_(ends) {
  if (constraint != nullptr) constraint_ = *constraint;
}

// What a grammar throws, the text itself meets where it comes to the same place, which it may never do.
TokenId TextForesight::choose(std::span<float> logits) {
  try {
    if (constraint_) constraint_->mask(logits);
  } catch (const std::runtime_error&) {
    return -1;
  }
  ends_.forbid(logits);
  return sampler_.sample(logits);
}

bool TextForesight::accept(TokenId token) {
  try {
    if (ends_.at(token) || (constraint_ && !constraint_->try_accept(token))) return false;
  } catch (const std::runtime_error&) {
    return false;
  }
  sampler_.accept(token);
  return !constraint_ || !constraint_->must_end();
}

}  // namespace llamajit
