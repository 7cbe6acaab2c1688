// The variables of a block, by their names, which stand in the template.
#pragma once

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/jinja/key_index.h"
#include "runtime/jinja/value.h"

namespace llamajit::jinja {

class Scope {
 public:
  std::size_t size() const { return entries_.size(); }

  const Value* find(std::string_view name) const {
    const auto place = place_of(name);
    return place ? &entries_[*place].second : nullptr;
  }

  void set(std::string_view name, Value value) {
    if (const auto place = place_of(name)) {
      entries_[*place].second = std::move(value);
      return;
    }
    entries_.emplace_back(name, std::move(value));
    if (entries_.size() <= KeyIndex::kFew) return;
    for (std::size_t i = index_.size(); i < entries_.size(); ++i) index_.add(hash_of(entries_[i].first));
  }

 private:
  std::optional<std::size_t> place_of(std::string_view name) const {
    if (index_.size() > 0) {
      return index_.find(hash_of(name), [&](std::size_t i) { return entries_[i].first == name; });
    }
    const auto found = std::ranges::find(entries_, name, [](const auto& entry) { return entry.first; });
    if (found == entries_.end()) return std::nullopt;
    return static_cast<std::size_t>(found - entries_.begin());
  }

  using Entry = std::pair<std::string_view, Value>;
  std::vector<Entry, Counted<Entry>> entries_;
  KeyIndex index_;  // of more than a few
};
using Scopes = std::vector<Scope, Counted<Scope>>;

}  // namespace llamajit::jinja
