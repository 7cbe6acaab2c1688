#include "runtime/generate/text_foresight.h"

#include <stdexcept>

namespace llamajit {

void TextForesight::look_ahead() {
  if (sampler_) return;
  sampler_ = of_;
  if (constraint_of_ != nullptr) constraint_ = *constraint_of_;
}

// What a grammar throws, the text itself meets where it comes to the same place, which it may never do.
TokenId TextForesight::choose(std::span<float> logits) {
  look_ahead();
  try {
    if (constraint_) constraint_->mask(logits);
  } catch (const std::runtime_error&) {
    return -1;
  }
  ends_.forbid(logits);
  return sampler_->sample(logits);
}

bool TextForesight::accept(TokenId token) {
  look_ahead();
  try {
    if (ends_.at(token) || (constraint_ && !constraint_->try_accept(token))) return false;
  } catch (const std::runtime_error&) {
    return false;
  }
  sampler_->accept(token);
  return !constraint_ || !constraint_->must_end();
}

}  // namespace llamajit
