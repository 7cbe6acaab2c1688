#include "tools/serve/grammar_cache.h"

#include <algorithm>

namespace llamajit::serve {

std::shared_ptr<Masks> GrammarCache::get(const std::string& key, const Compile& compile) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(known_, key, [](const auto& known) { return known.first; });
    if (found != known_.end()) {
      known_.splice(known_.end(), known_, found);
      return found->second;
    }
  }
  auto masks = std::make_shared<Masks>(compile(), trie_);
  const std::lock_guard lock(mutex_);
  known_.emplace_back(key, masks);
  if (known_.size() > kMost) known_.pop_front();
  return masks;
}

}  // namespace llamajit::serve
