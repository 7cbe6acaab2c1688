#include "runtime/forward/sequence.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace llamajit {
namespace {

int pages_for(int positions) {
  return static_cast<int>(jit::divide_up(positions, jit::kKvPage));
}

}  // namespace

Sequence::Sequence(KvCache& cache) : cache_(&cache), state_(cache.states().bytes()) {
  pages_.reserve(static_cast<std::size_t>(pages_for(cache.context())));
}

Sequence::Sequence(Sequence&& other) noexcept
    : cache_(other.cache_),
      tokens_(std::exchange(other.tokens_, {})),
      pages_(std::exchange(other.pages_, {})),
      state_(std::exchange(other.state_, SequenceState(0))),
      appended_several_(other.appended_several_),
      finite_(std::exchange(other.finite_, 0)) {}

Sequence& Sequence::operator=(Sequence&& other) noexcept {
  std::swap(cache_, other.cache_);
  std::swap(tokens_, other.tokens_);
  std::swap(pages_, other.pages_);
  std::swap(state_, other.state_);
  std::swap(appended_several_, other.appended_several_);
  std::swap(finite_, other.finite_);
  return *this;
}

Sequence::~Sequence() {
  for (std::byte* page : pages_) cache_->give_page_back(page);
}

int Sequence::common_length(std::span<const TokenId> tokens) const {
  return static_cast<int>(std::ranges::mismatch(tokens_, tokens).in1 - tokens_.begin());
}

void Sequence::cut(int length) {
  assert(length >= 0 && length <= this->length());
  if (length == this->length()) return;
  tokens_.resize(static_cast<std::size_t>(length));
  while (std::ssize(pages_) > pages_for(length)) {
    cache_->give_page_back(pages_.back());
    pages_.pop_back();
  }
  finite_ = length;
  state_.cut(length);
}

Sequence Sequence::fork(int length) const {
  assert(length >= 0 && length <= this->length());
  Sequence copy(*cache_);
  copy.state_ = state_.fork(length);
  copy.tokens_.assign(tokens_.begin(), tokens_.begin() + length);
  copy.pages_.assign(pages_.begin(), pages_.begin() + pages_for(length));
  for (const std::byte* page : copy.pages_) cache_->share_page(page);
  copy.finite_ = length;
  return copy;
}

int Sequence::pages_needed(int more) const {
  if (more == 0) return 0;
  const bool copies = length() % jit::kKvPage != 0 && cache_->is_shared(pages_.back());
  return pages_for(length() + more) - static_cast<int>(pages_.size()) + (copies ? 1 : 0);
}

void Sequence::append(std::span<const TokenId> tokens) {
  assert(length() + std::ssize(tokens) <= cache_->context());
  if (tokens.empty()) return;
  const int in_last = length() % jit::kKvPage;
  if (in_last != 0 && cache_->is_shared(pages_.back())) {
    std::byte* const own = cache_->take_page();
    cache_->copy_page(own, pages_.back(), in_last);
    cache_->give_page_back(std::exchange(pages_.back(), own));
    finite_ = length();
  }
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  while (std::ssize(pages_) < pages_for(length())) pages_.push_back(cache_->take_page());
  clear_behind();
  state_.see(length());
}

void Sequence::begin_step(int tokens) {
  assert(seen() == length());
  if (tokens > 1 || appended_several_) state_.keep_copy();
  appended_several_ = tokens > 1;
}

void Sequence::clear_behind() {
  const int end = static_cast<int>(jit::round_up(length(), jit::kLanes));
  const int first = std::max(length(), finite_);
  if (first < end) {
    const int page_begin = (length() - 1) / jit::kKvPage * jit::kKvPage;
    cache_->clear_values(pages_.back(), first - page_begin, end - page_begin);
  }
  finite_ = std::max(finite_, end);
}

}  // namespace llamajit
