#include "runtime/draft/ngram_drafter.h"

#include <algorithm>
#include <array>

namespace llamajit {
namespace {

// The least lengths of matches that are surer than the shortest.
constexpr std::array<int, Guess::kSureness - 1> kLengths = {3, 4, 5, 7, 10, 16, 32};

std::size_t sureness_of(int length) {
  return static_cast<std::size_t>(std::ranges::upper_bound(kLengths, length) - kLengths.begin());
}

}  // namespace

void NgramDrafter::begin(std::span<const TokenId> text) {
  own_.follow(text);
  draft_.clear();
  source_ = nullptr;
  if (const auto found = own_.find(text)) {
    source_ = &own_;
    match_ = *found;
  }
  if (!other_ || (source_ != nullptr && match_.length == TokenHistory::kMostLength)) return;
  if (const auto found = other_->find(text); found && (source_ == nullptr || found->length > match_.length)) {
    source_ = other_.get();
    match_ = *found;
  }
}

// A text that repeats what it has said just now goes on with its own draft.
std::optional<Guess> NgramDrafter::next(Foresight& /*foresight*/) {
  if (source_ == nullptr) return std::nullopt;
  const std::span<const TokenId> tokens = source_->tokens();
  const bool within = match_.position < tokens.size();
  if (!within && source_ != &own_) return std::nullopt;
  const TokenId token = within ? tokens[match_.position] : draft_[match_.position - tokens.size()];
  draft_.push_back(token);
  const Guess guess{token, sureness_of(match_.length)};
  ++match_.position;
  ++match_.length;
  return guess;
}

}  // namespace llamajit
