// A rendering's budget and its place in the template: what keeps a hostile template from taking for ever, all
// memory, or all of the stack.
#pragma once

#include <cstddef>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/jinja/value.h"

namespace llamajit::jinja {

struct Limits {
  std::size_t steps = 10'000'000;              // expressions and statements
  std::size_t bytes = std::size_t{256} << 20;  // of all strings and lists that come into being
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
  void allocate(std::size_t bytes);  // before they are
  void check_output(std::size_t bytes) const;
  Value text(std::string text);
  Value list(std::vector<Value> items, bool tuple = false);
  Value dict(Dict dict);
  Value space(Dict members);
  std::time_t now() const { return now_(); }

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
  void check_nesting(const Value& value) const;

  std::string name_;
  Limits limits_;
  std::function<std::time_t()> now_;
  std::size_t steps_ = 0;
  std::size_t bytes_ = 0;
  int depth_ = 0;
  int line_ = 1;
  std::vector<std::shared_ptr<Namespace>> spaces_;  // emptied at the end, as they may contain themselves
};

}  // namespace llamajit::jinja
