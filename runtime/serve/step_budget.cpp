#include "runtime/serve/step_budget.h"

#include <algorithm>

namespace llamajit::serve {
namespace {

constexpr double kNew = 0.25;     // how much of the newest step is believed
constexpr int kFirstTokens = 16;  // a careful beginning

double mixed(double known, double seen) {
  return known == 0 ? seen : known + kNew * (seen - known);
}

}  // namespace

int StepBudget::prompt_tokens() const {
  if (token_ms_ == 0) return std::min(kFirstTokens, most_tokens_);
  const double tokens = (most_ms_ - base_ms_) / token_ms_;
  const int whole = static_cast<int>(std::clamp(tokens, double{kLeast}, static_cast<double>(most_tokens_)));
  return whole / kLeast * kLeast;  // tiles of matrices are filled
}

void StepBudget::learn(int prompt_tokens, double ms) {
  if (prompt_tokens == 0) {
    base_ms_ = mixed(base_ms_, ms);
  } else if (prompt_tokens >= kLeast) {  // fewer tell more of the step than of themselves
    token_ms_ = mixed(token_ms_, std::max(ms - base_ms_, 1e-6) / prompt_tokens);
  }
}

}  // namespace llamajit::serve
