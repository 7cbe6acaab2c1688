// Pages of memory that are taken, shared and given back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/base/memory.h"

namespace llamajit {

class PagePool {
 public:
  // Zeros, and no memory used before it is. Throws std::runtime_error if they can't be reserved.
  PagePool(std::int64_t page_bytes, std::int64_t pages);

  int free() const { return static_cast<int>(free_.size()); }
  int size() const { return static_cast<int>(holders_.size()); }
  std::int64_t bytes_in_use() const { return (size() - free()) * page_bytes_; }

  // One that nobody holds, whose contents mean nothing. There must be one.
  std::byte* take();
  void share(const std::byte* page) { ++holders_[index(page)]; }
  void give_back(std::byte* page);
  bool is_shared(const std::byte* page) const { return holders_[index(page)] > 1; }

 private:
  std::size_t index(const std::byte* page) const {
    return static_cast<std::size_t>((page - memory_.data()) / page_bytes_);
  }

  std::int64_t page_bytes_;
  PagedMemory memory_;
  std::vector<int> holders_;      // of each page
  std::vector<std::byte*> free_;  // the last one is taken next
};

}  // namespace llamajit
