// A rendering's budget and its place in the template: what keeps a hostile template from taking for ever, all
// memory, or all of the stack.
#pragma once

#include <cstddef>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/jinja/value.h"

namespace llamajit::jinja {

struct Limits {
  std::size_t steps = 10'000'000;              // expressions and statements
  std::size_t bytes = std::size_t{256} << 20;  // of the strings and lists that are there at one time
  std::size_t work =
      std::size_t{16} << 30;  // bytes of all that ever came into being: what it takes to make them
  std::size_t output = std::size_t{16} << 20;  // bytes of the result
  int depth = 250;                             // expressions within expressions, calls of macros included
  int nesting = 64;                            // lists within lists
};

class Execution {
 public:
  Execution(std::string name, const Limits& limits, std::function<std::time_t()> now)
      : name_(std::move(name)), limits_(limits), now_(std::move(now)) {}
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;
  ~Execution();

  // Throws std::runtime_error that names the template and the line.
  [[noreturn]] void fail(std::string_view message) const;
  // The same, said as expected and found.
  [[noreturn]] void fail(std::string_view what, std::string_view expected, std::string_view found) const;

  void step();
  // Before so many bytes are made, for a value or on the way to one.
  void allocate(std::size_t bytes);
  void check_output(std::size_t bytes) const;
  // Values whose bytes count as long as they live, which must not be longer than the execution.
  Value text(std::string text, bool markup = false);
  Value list(std::vector<Value> items, List::Kind kind = List::Kind::list);
  Value tuple(std::vector<Value> items) { return list(std::move(items), List::Kind::tuple); }
  Value iterator(std::vector<Value> items);
  Value dict(Dict dict);
  Value space(Dict members);
  std::time_t now() const { return now_(); }
  // Whether filters and macros are called from within {% autoescape true %}.
  bool escapes() const { return escapes_; }
  bool set_escapes(bool escapes) { return std::exchange(escapes_, escapes); }

  // While it lives, messages name this line, and one level of the depth is taken.
  class At {
   public:
    At(Execution& execution, int line);
    At(const At&) = delete;
    At& operator=(const At&) = delete;
    ~At();

   private:
    Execution& execution_;
    int line_before_;
  };

 private:
  // Bytes that are taken from the budget while this lives.
  class Charge {
   public:
    Charge(std::size_t& live, std::size_t bytes) : live_(live), bytes_(bytes) { live_ += bytes_; }
    Charge(const Charge&) = delete;
    Charge& operator=(const Charge&) = delete;
    ~Charge() { live_ -= bytes_; }

   private:
    std::size_t& live_;
    std::size_t bytes_;
  };
  template <class T>
  struct Charged {
    Charged(std::size_t& live, std::size_t bytes, std::remove_const_t<T> of)
        : charge(live, bytes), value(std::move(of)) {}
    Charge charge;
    T value;
  };
  // The value on the heap, charged with so many bytes.
  template <class T>
  std::shared_ptr<T> charged(std::remove_const_t<T> value, std::size_t bytes);
  void check_nesting(int nesting) const;
  void remember(const std::shared_ptr<Namespace>& space);

  std::string name_;
  Limits limits_;
  std::function<std::time_t()> now_;
  std::size_t steps_ = 0;
  std::size_t live_ = 0;  // bytes of the values that are there
  std::size_t work_ = 0;
  int depth_ = 0;
  int line_ = 1;
  bool escapes_ = false;
  std::vector<std::weak_ptr<Namespace>> spaces_;  // emptied at the end, as they may contain themselves
  std::size_t spaces_to_sweep_ = 1024;
};

}  // namespace llamajit::jinja
