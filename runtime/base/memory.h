// Large zero-filled memory on huge pages, touched by nobody until its owner does.
#pragma once

#include <cstddef>
#include <cstdint>

namespace llamajit {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

class PagedMemory {
 public:
  PagedMemory() = default;
  // Reserves `bytes` of zeros, aligned to a huge page. Pages cost memory only
  // from their first write on, and belong to the NUMA node of the thread that
  // writes first. Throws std::runtime_error that says what it was for.
  PagedMemory(std::size_t bytes, const char* purpose);
  PagedMemory(PagedMemory&& other) noexcept;
  PagedMemory& operator=(PagedMemory&& other) noexcept;
  PagedMemory(const PagedMemory&) = delete;
  PagedMemory& operator=(const PagedMemory&) = delete;
  ~PagedMemory();

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  void* mapping_ = nullptr;
  std::size_t mapping_size_ = 0;
};

// Hands out parts of one PagedMemory. A first pass with
// no memory adds up the size; the second gives addresses.
class Carver {
 public:
  explicit Carver(std::byte* base) : base_(base) {}

  template <class T>
  T* take(std::int64_t count, std::size_t alignment = 64) {
    offset_ = (offset_ + alignment - 1) / alignment * alignment;
    std::byte* const at = base_ == nullptr ? nullptr : base_ + offset_;
    offset_ += static_cast<std::size_t>(count) * sizeof(T);
    return reinterpret_cast<T*>(at);
  }
  std::size_t size() const { return offset_; }

 private:
  std::byte* base_;
  std::size_t offset_ = 0;
};

// Bytes of memory in this machine.
std::size_t physical_memory();

}  // namespace llamajit
