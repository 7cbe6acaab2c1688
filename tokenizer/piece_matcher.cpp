#include "tokenizer/piece_matcher.h"

#include <algorithm>
#include <cstdint>

namespace llamajit {
namespace {

std::uint8_t byte_at(std::string_view bytes, std::size_t i) {
  return static_cast<std::uint8_t>(bytes[i]);
}

}  // namespace

void PieceMatcher::index() {
  std::ranges::sort(pieces_);
  const auto same_bytes = [](const auto& a, const auto& b) { return a.first == b.first; };
  pieces_.erase(std::unique(pieces_.begin(), pieces_.end(), same_bytes), pieces_.end());
  std::size_t at = 0;
  for (std::size_t byte = 0; byte < 256; ++byte) {
    first_[byte] = at;
    while (at < pieces_.size() && byte_at(pieces_[at].first, 0) == byte) ++at;
  }
  first_[256] = at;
}

PieceMatcher::Match PieceMatcher::find(std::string_view text) const {
  if (!pieces_.empty()) {
    for (std::size_t begin = 0; begin < text.size(); ++begin) {
      const Match match = longest_at(text, begin);
      if (match.id >= 0) return match;
    }
  }
  return {text.size(), text.size(), -1};
}

// Narrows the sorted pieces down to those that agree with the text in one more byte each time. A piece that
// is used up stands first among those.
PieceMatcher::Match PieceMatcher::longest_at(std::string_view text, std::size_t begin) const {
  Match longest{begin, begin, -1};
  const std::uint8_t first = byte_at(text, begin);
  auto low = pieces_.begin() + static_cast<std::ptrdiff_t>(first_[first]);
  auto high = pieces_.begin() + static_cast<std::ptrdiff_t>(first_[first + std::size_t{1}]);
  for (std::size_t length = 1; low != high; ++length) {
    if (low->first.size() == length) {
      longest = {begin, begin + length, low->second};
      ++low;
    }
    if (begin + length == text.size()) break;
    const std::uint8_t next = byte_at(text, begin + length);
    const auto byte = [length](const auto& piece) { return byte_at(piece.first, length); };
    low = std::ranges::lower_bound(low, high, next, {}, byte);
    high = std::ranges::upper_bound(low, high, next, {}, byte);
  }
  return longest;
}

}  // namespace llamajit
