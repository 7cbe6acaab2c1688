#include "runtime/forward/page_table.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace llamajit {
namespace {

int pages_for(int positions) {
  return static_cast<int>(jit::divide_up(positions, jit::kKvPage));
}

}  // namespace

PageTable::PageTable(KvCache& cache, std::size_t kind) : cache_(&cache), kind_(kind) {
  pages_.reserve(static_cast<std::size_t>(pages_for(cache.context())));
}

PageTable::~PageTable() {
  cut(0);
}

int PageTable::first_seen(int pos) const {
  return jit::first_seen(std::max(pos, 0), cache_->window(kind_));
}

bool PageTable::reaches_back_from(int pos) const {
  return first_seen(pos) >= given_back_ * jit::kKvPage;
}

void PageTable::cut(int end) {
  assert(end == 0 || reaches_back_from(end));
  while (std::ssize(pages_) > pages_for(end)) {
    if (pages_.back() != nullptr) cache_->pool(kind_).give_back(pages_.back());
    pages_.pop_back();
  }
  if (end == 0) given_back_ = 0;
  finite_ = end;
}

PageTable PageTable::fork(int end) const {
  assert(end == 0 || reaches_back_from(end));
  PageTable copy(*cache_, kind_);
  copy.pages_.assign(pages_.begin(), pages_.begin() + pages_for(end));
  copy.given_back_ = end == 0 ? 0 : given_back_;
  for (const std::byte* page : copy.pages_) {
    if (page != nullptr) cache_->pool(kind_).share(page);
  }
  copy.finite_ = end;
  return copy;
}

// A step of n of the positions, from `begin` on, needs those from the page of its first one's window to that of its
// last one. It needs the most where its last one begins a page; between two such steps, windows only move on. Pages
// that others hold, too, are not counted as given back, since they may hold them longer.
int PageTable::pages_needed(int first, int end) const {
  if (first == end) return 0;
  const int held = static_cast<int>(pages_.size());
  int most = 0;
  for (int begin = first; begin < end;) {
    const int last_page = pages_for(std::min(begin + cache_->rows(), end));
    const int first_page = first_seen(begin + 1 - KvCache::kFreeCut) / jit::kKvPage;
    most = std::max(most, last_page - std::max(held, first_page) - own_pages_before(first_page));
    begin = static_cast<int>(jit::round_up(begin + cache_->rows(), jit::kKvPage)) + 1 - cache_->rows();
  }
  return most + (copies_last(first) ? 1 : 0);
}

void PageTable::make_room(int first, int end) {
  assert(pages_for(first) == std::ssize(pages_));
  PagePool& pool = cache_->pool(kind_);
  give_back_before(first_seen(std::min(first, end - KvCache::kFreeCut)) / jit::kKvPage);
  if (copies_last(first)) {
    std::byte* const own = pool.take();
    cache_->copy_page(kind_, own, pages_.back(), first % jit::kKvPage);
    pool.give_back(std::exchange(pages_.back(), own));
    finite_ = first;
  }
  while (std::ssize(pages_) < pages_for(end)) pages_.push_back(pool.take());
  clear_behind(end);
}

// Whether position `first`, the end of the table, goes to a page that others hold, too.
bool PageTable::copies_last(int first) const {
  return first % jit::kKvPage != 0 && cache_->pool(kind_).is_shared(pages_.back());
}

int PageTable::own_pages_before(int page) const {
  const auto end = pages_.begin() + std::min(page, static_cast<int>(pages_.size()));
  return static_cast<int>(
      std::count_if(std::min(pages_.begin() + given_back_, end), end,
                    [&](const std::byte* held) { return !cache_->pool(kind_).is_shared(held); }));
}

void PageTable::give_back_before(int page) {
  for (; given_back_ < std::min(page, static_cast<int>(pages_.size())); ++given_back_) {
    cache_->pool(kind_).give_back(std::exchange(pages_[static_cast<std::size_t>(given_back_)], nullptr));
  }
}

void PageTable::clear_behind(int end) {
  const int first = std::max(end, finite_);
  const int finite = static_cast<int>(jit::round_up(end, jit::kLanes));
  if (first < finite) {
    const int page_begin = (end - 1) / jit::kKvPage * jit::kKvPage;
    cache_->clear_values(kind_, pages_.back(), first - page_begin, finite - page_begin);
  }
  finite_ = std::max(finite_, finite);
}

}  // namespace llamajit
