#include "runtime/forward/page_pool.h"

#include <cassert>

namespace llamajit {

PagePool::PagePool(std::int64_t page_bytes, std::int64_t pages)
    : page_bytes_(page_bytes),
      memory_(static_cast<std::size_t>(pages * page_bytes), "KV cache"),
      holders_(static_cast<std::size_t>(pages)) {
  for (std::int64_t page = pages - 1; page >= 0; --page) free_.push_back(memory_.data() + page * page_bytes);
}

std::byte* PagePool::take() {
  assert(!free_.empty());
  std::byte* const page = free_.back();
  free_.pop_back();
  holders_[index(page)] = 1;
  return page;
}

void PagePool::give_back(std::byte* page) {
  if (--holders_[index(page)] == 0) free_.push_back(page);
}

}  // namespace llamajit
