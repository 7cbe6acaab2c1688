// Grammars that requests ask for, compiled once.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "runtime/grammar/masks.h"

namespace llamajit::serve {

// Any thread may ask. What is given belongs to the scheduler's thread from then on, but for making Constraints of it.
class GrammarCache {
 public:
  explicit GrammarCache(const Vocab& vocab) : trie_(std::make_shared<const TokenTrie>(vocab)) {}

  // Of the text `key`, which `compile` makes a grammar of where it is not known. Throws what that throws.
  using Compile = std::function<std::shared_ptr<const Grammar>()>;
  std::shared_ptr<Masks> get(const std::string& key, const Compile& compile);

  static constexpr std::size_t kMost = 32;  // the one that was used longest ago is forgotten

 private:
  std::shared_ptr<const TokenTrie> trie_;
  std::mutex mutex_;
  std::list<std::pair<std::string, std::shared_ptr<Masks>>> known_;  // the last one was used last
};

}  // namespace llamajit::serve
