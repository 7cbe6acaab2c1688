#include "runtime/forward/sequence.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace llamajit {

Sequence::Sequence(KvCache& cache) : cache_(&cache), name_(cache.journal()), state_(cache.states().bytes()) {
  tables_.reserve(cache.kinds());
  for (std::size_t kind = 0; kind < cache.kinds(); ++kind) tables_.emplace_back(cache, kind);
}

Sequence::Sequence(Sequence&& other) noexcept
    : cache_(other.cache_),
      name_(std::move(other.name_)),
      tokens_(std::exchange(other.tokens_, {})),
      tables_(std::exchange(other.tables_, {})),
      state_(std::exchange(other.state_, SequenceState(0))),
      seen_(std::exchange(other.seen_, 0)),
      appended_several_(other.appended_several_) {}

Sequence& Sequence::operator=(Sequence&& other) noexcept {
  std::swap(cache_, other.cache_);
  name_ = std::move(other.name_);
  std::swap(tokens_, other.tokens_);
  std::swap(tables_, other.tables_);
  std::swap(state_, other.state_);
  std::swap(seen_, other.seen_);
  std::swap(appended_several_, other.appended_several_);
  return *this;
}

int Sequence::common_length(std::span<const TokenId> tokens) const {
  return static_cast<int>(std::ranges::mismatch(tokens_, tokens).in1 - tokens_.begin());
}

int Sequence::usable(int seen) const {
  const auto reaches_back = [=](const PageTable& table) { return table.reaches_back_from(seen); };
  return std::ranges::all_of(tables_, reaches_back) ? seen : 0;
}

void Sequence::cut(int length) {
  assert(length >= 0 && length <= this->length());
  if (length == this->length()) return;
  name_.cut(length);
  tokens_.resize(static_cast<std::size_t>(length));
  if (length >= seen_) return;
  state_.cut(length);
  seen_ = usable(state_.exists() ? state_.seen() : length);
  state_.cut(seen_);
  for (PageTable& table : tables_) table.cut(seen_);
}

Sequence Sequence::fork(int length) const {
  assert(length >= 0 && length <= this->length());
  Sequence copy(*cache_);
  name_.fork(copy.name_, length);
  copy.tokens_.assign(tokens_.begin(), tokens_.begin() + length);
  copy.state_ = state_.fork(length);
  copy.seen_ = usable(state_.exists() ? copy.state_.seen() : std::min(seen_, length));
  copy.state_.cut(copy.seen_);
  copy.tables_.clear();
  for (const PageTable& table : tables_) copy.tables_.push_back(table.fork(copy.seen_));
  return copy;
}

void Sequence::make_room(int n) {
  for (PageTable& table : tables_) table.make_room(seen_, seen_ + n);
}

void Sequence::append(std::span<const TokenId> tokens) {
  assert(seen_ == length());
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  see(static_cast<int>(tokens.size()));
}

void Sequence::see(int n) {
  assert(seen_ + n <= length());
  seen_ += n;
  state_.see(seen_);
}

void Sequence::begin_step(int tokens) {
  assert(seen() == length());
  if (tokens > 1 || appended_several_) state_.keep_copy();
  appended_several_ = tokens > 1;
}

}  // namespace llamajit
