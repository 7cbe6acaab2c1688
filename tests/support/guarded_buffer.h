// Memory whose neighbours are inaccessible pages, so that generated code that strays is caught by the
// hardware; AddressSanitizer does not see its accesses.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

namespace llamajit::test {

// Which end of the buffer touches an inaccessible page.
enum class Edge : std::uint8_t { front, back };

// Pages between two inaccessible ones. Mappings that are done with are kept for the next buffer of their
// size: kernel tests make millions of buffers, and mapping took longer than the kernels.
class GuardedPages {
 public:
  explicit GuardedPages(std::size_t bytes) : bytes_((bytes + page() - 1) / page() * page()) {
    std::vector<std::uint8_t*>& spare = spares()[bytes_];
    if (!spare.empty()) {
      first_ = spare.back();
      spare.pop_back();
      return;
    }
    void* const mapping = mmap(nullptr, bytes_ + 2 * page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(mapping != MAP_FAILED);
    first_ = static_cast<std::uint8_t*>(mapping) + page();
    if (bytes_ == 0) return;
    [[maybe_unused]] const int failed = mprotect(first_, bytes_, PROT_READ | PROT_WRITE);
    assert(failed == 0);
  }
  GuardedPages(GuardedPages&& other) noexcept
      : bytes_(other.bytes_), first_(std::exchange(other.first_, nullptr)) {}
  GuardedPages& operator=(GuardedPages&&) = delete;
  ~GuardedPages() {
    if (first_ == nullptr) return;
    std::vector<std::uint8_t*>& spare = spares()[bytes_];
    if (spare.size() < kMostSpares) {
      spare.push_back(first_);
    } else {
      munmap(first_ - page(), bytes_ + 2 * page());
    }
  }

  std::uint8_t* first() const { return first_; }
  std::size_t bytes() const { return bytes_; }  // that may be accessed

 private:
  static constexpr std::size_t kMostSpares = 16;  // of a size
  static std::size_t page() {
    static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    return size;
  }
  static std::map<std::size_t, std::vector<std::uint8_t*>>& spares() {
    static thread_local std::map<std::size_t, std::vector<std::uint8_t*>> spares;
    return spares;
  }

  std::size_t bytes_;
  std::uint8_t* first_ = nullptr;
};

// `count` values of T flush against an inaccessible page at one end. Another such page lies beyond the other
// end; the slack between is filled with a canary. The values start as all-ones bytes (NaNs, as floats).
template <class T>
class GuardedBuffer {
 public:
  // `misalign` values of slack are left at the edge too, to start a front-aligned buffer off its page.
  GuardedBuffer(std::size_t count, Edge edge, std::size_t misalign = 0)
      : pages_((count + misalign) * sizeof(T)), count_(count) {
    before_ = edge == Edge::front ? misalign * sizeof(T) : pages_.bytes() - (count + misalign) * sizeof(T);
    std::memset(pages_.first(), kCanary, pages_.bytes());
    std::memset(data(), 0xFF, count * sizeof(T));
  }

  T* data() const { return reinterpret_cast<T*>(pages_.first() + before_); }
  std::size_t size() const { return count_; }
  std::span<T> span() const { return {data(), count_}; }

  // The distance in bytes from the start of the values to the first canary byte that was overwritten.
  std::optional<std::ptrdiff_t> touched_slack() const {
    const std::span<const std::uint8_t> inner(pages_.first(), pages_.bytes());
    for (const auto slack : {inner.first(before_), inner.subspan(before_ + count_ * sizeof(T))}) {
      // Mostly none is, which memcmp() finds fast in sanitized builds, too.
      if (is_canary(slack)) continue;
      const auto touched = std::ranges::find_if(slack, [](std::uint8_t byte) { return byte != kCanary; });
      if (touched != slack.end()) return &*touched - pages_.first() - static_cast<std::ptrdiff_t>(before_);
    }
    return std::nullopt;
  }

 private:
  static constexpr std::uint8_t kCanary = 0xA5;

  static bool is_canary(std::span<const std::uint8_t> bytes) {
    return bytes.empty() ||
           (bytes.front() == kCanary && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
  }

  GuardedPages pages_;
  std::size_t before_ = 0;  // slack before the values, in bytes
  std::size_t count_;
};

}  // namespace llamajit::test
