#include "runtime/draft/ngram_drafter.h"

#include <algorithm>
#include <array>

namespace llamajit {
namespace {

// The least lengths of matches that are surer than the shortest.
constexpr std::array<int, Guess::kSureness / 2 - 1> kLengths = {4, 8, 16};
// What a token that is another leaves of a match's length; with less than the least length there is none.
constexpr int kBehindAnother = 4;

std::size_t sureness_of(const TokenHistory::Match& match) {
  const auto length = std::ranges::upper_bound(kLengths, match.length) - kLengths.begin();
  return 2 * static_cast<std::size_t>(length) + (match.agreeing == match.places ? 1 : 0);
}

}  // namespace

bool NgramDrafter::begin(std::span<const TokenId> text) {
  const std::size_t known = own_.tokens().size();
  if (!own_.follow(text)) trail_ = nullptr;
  follow_trail(text, known);
  const std::size_t length = std::min(text.size(), std::size_t{TokenHistory::kMostLength});
  end_.assign(text.end() - static_cast<std::ptrdiff_t>(length), text.end());
  drafted_ = 0;
  source_ = trail_;
  by_trail_ = trail_ != nullptr;
  match_ = trail_match_;
  return true;
}

// Along what the text has said since.
void NgramDrafter::follow_trail(std::span<const TokenId> text, std::size_t known) {
  for (std::size_t i = known; trail_ != nullptr && i < text.size(); ++i) {
    const bool same = trail_->tokens()[trail_match_.position] == text[i];
    ++trail_match_.position;
    trail_match_.length = same ? std::min(trail_match_.length + 1, TokenHistory::kMostLength)
                               : trail_match_.length / kBehindAnother;
    const bool ends = trail_match_.position >= trail_->tokens().size();
    if (ends || trail_match_.length < TokenHistory::kLeastLength) trail_ = nullptr;
  }
  // Not as sure as if the last tokens were the same.
  trail_match_.agreeing = 1;
  trail_match_.places = 2;
}

void NgramDrafter::look_for_longer_match() {
  for (const TokenHistory* history : {static_cast<const TokenHistory*>(&own_), other_.get()}) {
    if (history == nullptr) continue;
    const auto found = history->find(end_);
    const int least = source_ == nullptr ? 0 : match_.length + (by_trail_ ? 0 : 1);
    if (!found || found->length < least) continue;
    by_trail_ = false;
    source_ = history;
    match_ = *found;
  }
}

std::optional<Guess> NgramDrafter::next(Foresight& /*foresight*/) {
  if (source_ != nullptr && drafted_ > 0) {
    ++match_.position;
    ++match_.length;
    if (match_.position >= source_->tokens().size() && source_ != &own_) source_ = nullptr;
  }
  look_for_longer_match();
  if (source_ == nullptr) return std::nullopt;
  if (drafted_ == 0) {
    trail_ = source_;
    trail_match_ = match_;
  }
  // A text that repeats what it has said just now goes on with its own draft.
  const std::size_t known = source_->tokens().size();
  const TokenId token = match_.position < known ? source_->tokens()[match_.position]
                                                : end_[end_.size() - drafted_ + match_.position - known];
  end_.push_back(token);
  ++drafted_;
  return Guess{token, sureness_of(match_)};
}

}  // namespace llamajit
