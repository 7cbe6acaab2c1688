// What a rendering has on the heap, counted where it is taken and given back: values, and what functions need on the
// way to them. A limit then holds whatever a template does, and what is gone no longer counts.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace llamajit::jinja {

// A thread has the account of the rendering that it is at. Outside of renderings it has none, and nothing is counted:
// what a rendering is given, it does not own.
class Account {
 public:
  explicit Account(std::size_t limit) : limit_(limit) {}
  Account(const Account&) = delete;
  Account& operator=(const Account&) = delete;
  virtual ~Account() = default;

  static Account* current();
  static void take_current(std::size_t bytes);
  static void give_back_current(std::size_t bytes) noexcept;

  bool has_room_for(std::size_t bytes) const { return bytes <= limit_ && live_ <= limit_ - bytes; }
  std::size_t peak() const { return peak_; }

  // While it lives, the account is this thread's.
  class Use {
   public:
    explicit Use(Account& account);
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use();

   private:
    Account* before_;
  };

 protected:
  [[noreturn]] virtual void refuse_bytes() const = 0;

 private:
  void take(std::size_t bytes) {
    if (!has_room_for(bytes)) refuse_bytes();
    live_ += bytes;
    peak_ = std::max(peak_, live_);
  }

  std::size_t limit_;
  std::size_t live_ = 0;
  std::size_t peak_ = 0;
};

template <std::size_t bytes>
using Bytes = std::integral_constant<std::size_t, bytes>;

// `Beside` counts with each block, for what its maker takes from elsewhere.
template <class T, class Beside = Bytes<0>>
struct Counted {
  using value_type = T;

  Counted() = default;
  template <class U>
  Counted(const Counted<U, Beside>&) noexcept {}

  T* allocate(std::size_t n) {
    Account::take_current(charged(n));
    try {
      return std::allocator<T>().allocate(n);
    } catch (...) {
      Account::give_back_current(charged(n));
      throw;
    }
  }
  void deallocate(T* p, std::size_t n) noexcept {
    std::allocator<T>().deallocate(p, n);
    Account::give_back_current(charged(n));
  }
  friend bool operator==(const Counted&, const Counted&) { return true; }

 private:
  static constexpr std::size_t kHeader = 16;  // what the heap itself adds to each block
  static std::size_t charged(std::size_t n) { return n * sizeof(T) + kHeader + Beside::value; }
};

using String = std::basic_string<char, std::char_traits<char>, Counted<char>>;
using Views = std::vector<std::string_view, Counted<std::string_view>>;

// As fmt::format().
template <class... Args>
String printed_to_string(fmt::format_string<Args...> format, Args&&... args) {
  String out;
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
  return out;
}

}  // namespace llamajit::jinja
