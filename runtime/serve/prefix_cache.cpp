#include "runtime/serve/prefix_cache.h"

#include <iterator>
#include <utility>

namespace llamajit::serve {

const Sequence* PrefixCache::best_for(std::span<const TokenId> tokens) {
  auto best = kept_.end();
  int spared_by_best = 0;
  for (auto it = kept_.begin(); it != kept_.end(); ++it) {
    const int spared = it->seen_of(it->common_length(tokens));
    if (spared > spared_by_best) {
      spared_by_best = spared;
      best = it;
    }
  }
  if (best == kept_.end()) return nullptr;
  kept_.splice(kept_.end(), kept_, best);
  return &kept_.back();
}

void PrefixCache::keep(Sequence sequence, bool beside) {
  if (sequence.length() == 0 || most_ == 0) return;
  if (!beside) {
    kept_.remove_if([&](const Sequence& kept) {
      return kept.length() <= sequence.length() && sequence.common_length(kept.tokens()) == kept.length();
    });
  }
  kept_.push_back(std::move(sequence));
  if (kept_.size() > most_) kept_.pop_front();
}

bool PrefixCache::give_up_one() {
  if (kept_.empty()) return false;
  kept_.pop_front();
  return true;
}

}  // namespace llamajit::serve
