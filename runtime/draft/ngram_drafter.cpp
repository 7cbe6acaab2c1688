#include "runtime/draft/ngram_drafter.h"

#include <algorithm>
#include <array>

namespace llamajit {
namespace {

// The least lengths of matches that are surer than the shortest.
constexpr std::array<int, Guess::kSureness / 2 - 1> kLengths = {4, 8, 16};

std::size_t sureness_of(const TokenHistory::Match& match) {
  const auto length = std::ranges::upper_bound(kLengths, match.length) - kLengths.begin();
  return 2 * static_cast<std::size_t>(length) + (match.agreeing == match.places ? 1 : 0);
}

}  // namespace

bool NgramDrafter::begin(std::span<const TokenId> text) {
  own_.follow(text);
  const std::size_t length = std::min(text.size(), std::size_t{TokenHistory::kMostLength});
  end_.assign(text.end() - static_cast<std::ptrdiff_t>(length), text.end());
  drafted_ = 0;
  source_ = nullptr;
  return true;
}

void NgramDrafter::look_for_longer_match() {
  for (const TokenHistory* history : {static_cast<const TokenHistory*>(&own_), other_.get()}) {
    if (history == nullptr) continue;
    const auto found = history->find(end_);
    if (!found || (source_ != nullptr && found->length <= match_.length)) continue;
    source_ = history;
    match_ = *found;
  }
}

std::optional<Guess> NgramDrafter::next(Foresight& /*foresight*/) {
  if (source_ != nullptr) {
    ++match_.position;
    ++match_.length;
    if (match_.position >= source_->tokens().size() && source_ != &own_) source_ = nullptr;
  }
  look_for_longer_match();
  if (source_ == nullptr) return std::nullopt;
  // A text that repeats what it has said just now goes on with its own draft.
  const std::size_t known = source_->tokens().size();
  const TokenId token = match_.position < known ? source_->tokens()[match_.position]
                                                : end_[end_.size() - drafted_ + match_.position - known];
  end_.push_back(token);
  ++drafted_;
  return Guess{token, sureness_of(match_)};
}

}  // namespace llamajit
