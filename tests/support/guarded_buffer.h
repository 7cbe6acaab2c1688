// Memory whose neighbours are inaccessible pages, so that generated code that strays is caught by the
// hardware; AddressSanitizer does not see its accesses.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

namespace llamajit::test {

// Which end of the buffer touches an inaccessible page.
enum class Edge : std::uint8_t { front, back };

// `count` values of T flush against an inaccessible page at one end. Another such page lies beyond the other
// end; the slack between is filled with a canary. The values start as all-ones bytes (NaNs, as floats).
template <class T>
class GuardedBuffer {
 public:
  // `misalign` values of slack are left at the edge too, to start a front-aligned buffer off its page.
  GuardedBuffer(std::size_t count, Edge edge, std::size_t misalign = 0) : count_(count) {
    const std::size_t used = (count + misalign) * sizeof(T);
    inner_ = (used + page() - 1) / page() * page();
    mapping_ = static_cast<std::uint8_t*>(
        mmap(nullptr, inner_ + 2 * page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    assert(mapping_ != MAP_FAILED);
    if (inner_ > 0) {
      [[maybe_unused]] const int failed = mprotect(first(), inner_, PROT_READ | PROT_WRITE);
      assert(failed == 0);
      std::memset(first(), kCanary, inner_);
    }
    before_ = edge == Edge::front ? misalign * sizeof(T) : inner_ - used;
    std::memset(data(), 0xFF, count * sizeof(T));
  }
  GuardedBuffer(GuardedBuffer&& other) noexcept
      : mapping_(std::exchange(other.mapping_, nullptr)),
        inner_(other.inner_),
        before_(other.before_),
        count_(other.count_) {}
  GuardedBuffer& operator=(GuardedBuffer&&) = delete;
  ~GuardedBuffer() {
    if (mapping_ != nullptr) munmap(mapping_, inner_ + 2 * page());
  }

  T* data() const { return reinterpret_cast<T*>(first() + before_); }
  std::size_t size() const { return count_; }
  std::span<T> span() const { return {data(), count_}; }

  // The distance in bytes from the start of the values to the first canary byte that was overwritten.
  std::optional<std::ptrdiff_t> touched_slack() const {
    const auto after = before_ + count_ * sizeof(T);
    for (std::size_t i = 0; i < inner_; ++i) {
      if ((i < before_ || i >= after) && first()[i] != kCanary) {
        return static_cast<std::ptrdiff_t>(i) - static_cast<std::ptrdiff_t>(before_);
      }
    }
    return std::nullopt;
  }

 private:
  static constexpr std::uint8_t kCanary = 0xA5;
  static std::size_t page() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }
  std::uint8_t* first() const { return mapping_ + page(); }

  std::uint8_t* mapping_ = nullptr;
  std::size_t inner_ = 0;   // bytes that may be accessed
  std::size_t before_ = 0;  // slack before the values, in bytes
  std::size_t count_;
};

}  // namespace llamajit::test
