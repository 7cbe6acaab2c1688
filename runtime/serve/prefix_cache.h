// Texts that are over, kept for those that begin as they did.
#pragma once

#include <cstddef>
#include <list>
#include <span>

#include "runtime/forward/sequence.h"

namespace llamajit::serve {

// The pages of common beginnings are shared, not copied. What was used longest ago is given up first.
class PrefixCache {
 public:
  explicit PrefixCache(std::size_t most) : most_(most) {}

  std::size_t size() const { return kept_.size(); }
  // The sequence that spares the most tokens of `tokens`, and counts as used now; nullptr where none spares any.
  const Sequence* best_for(std::span<const TokenId> tokens);
  // Takes the place of one that it begins with, unless `beside`: where windows lie, the shorter one still has what
  // the longer one has given back.
  void keep(Sequence sequence, bool beside);
  // Gives up the one that was used longest ago; false: there is none.
  bool give_up_one();
  void clear() { kept_.clear(); }

 private:
  std::size_t most_;
  std::list<Sequence> kept_;  // the last one was used last
};

}  // namespace llamajit::serve
