// Where entries stand by the hashes of their names or keys, so that a look-up among many takes no longer than among few.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "runtime/jinja/account.h"

namespace llamajit::jinja {

// Keyed by chance, so that nobody can make keys that meet in one place (SipHash-1-3).
std::uint64_t hash_of(std::string_view bytes);

// Of entries that are numbered in the order in which they came. Few are looked through one by one.
class KeyIndex {
 public:
  static constexpr std::size_t kFew = 16;

  void clear() {
    places_.clear();
    hashes_.clear();
  }
  std::size_t size() const { return hashes_.size(); }
  void add(std::uint64_t hash);  // of the next entry

  // The entry with this hash that `is_same` holds for.
  template <class IsSame>
  std::optional<std::size_t> find(std::uint64_t hash, const IsSame& is_same) const {
    if (places_.empty()) return std::nullopt;
    const std::size_t mask = places_.size() - 1;
    for (std::size_t at = hash & mask; places_[at] != 0; at = (at + 1) & mask) {
      const std::size_t entry = places_[at] - 1;
      if (hashes_[entry] == hash && is_same(entry)) return entry;
    }
    return std::nullopt;
  }

 private:
  void place(std::size_t entry);

  std::vector<std::uint32_t, Counted<std::uint32_t>> places_;  // an entry's number and one; 0: free
  std::vector<std::uint64_t, Counted<std::uint64_t>> hashes_;
};

}  // namespace llamajit::jinja
