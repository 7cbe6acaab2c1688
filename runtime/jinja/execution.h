// A rendering's budget and its place in the template: what keeps a hostile template from taking for ever, all
// memory, or all of the stack.
#pragma once

#include <atomic>
#include <cstddef>
#include <ctime>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/jinja/value.h"

namespace llamajit::jinja {

// What a rendering may take. Chats of a book's length stay far below all of these; what goes beyond is an error.
struct Limits {
  std::size_t steps = 10'000'000;              // expressions, statements, comparisons: seconds of them
  std::size_t bytes = std::size_t{256} << 20;  // of all values that are there at one time
  std::size_t work = std::size_t{16} << 30;    // bytes gone through or made, one after another: seconds of it
  std::size_t output = std::size_t{16}
                       << 20;  // bytes of the result, and of each string, as it is to be part of it
  int depth = 250;   // expressions within expressions, calls of macros included: what the stack holds
  int nesting = 64;  // lists within lists, as many functions go through them calling themselves
  const std::atomic<bool>* cancel = nullptr;  // when set to true, the rendering fails soon
};

// A rendering that was cancelled.
struct RenderingCancelled : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Execution : public Account {
 public:
  Execution(std::string name, const Limits& limits, std::function<std::time_t()> now)
      : Account(limits.bytes), name_(std::move(name)), limits_(limits), now_(std::move(now)), use_(*this) {}
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;
  ~Execution() override;

  // Throws std::runtime_error that names the template and the line.
  [[noreturn]] void fail(std::string_view message) const;
  // The same, said as expected and found.
  [[noreturn]] void fail(std::string_view what, std::string_view expected, std::string_view found) const;

  void step();
  // Before so many bytes are gone through, copied or compared.
  void work(std::size_t bytes);
  // The same, character by character, which takes longer.
  void work_on_characters(std::string_view text) { work(kCharacter * text.size()); }
  // Before the value as such is looked at, not what it holds.
  void work_on(const Value& value);
  // Before so many bytes are made, for a value or on the way to one; fails here and now where there is no room.
  void allocate(std::size_t bytes);
  void check_output(std::size_t bytes) const;
  Value text(String text, bool markup = false);
  Value list(Values items, List::Kind kind = List::Kind::list);
  Value tuple(Values items) { return list(std::move(items), List::Kind::tuple); }
  Value iterator(Values items);
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
    explicit At(Execution& execution) : At(execution, execution.line_) {}
    At(const At&) = delete;
    At& operator=(const At&) = delete;
    ~At();

   private:
    Execution& execution_;
    int line_before_;
  };

 private:
  static constexpr std::size_t kCharacter =
      8;  // as many bytes copied take as long as one byte of UTF-8 taken apart

  [[noreturn]] void refuse_bytes() const override;
  void check_nesting(int nesting) const;
  void remember(const std::shared_ptr<Namespace>& space);

  std::string name_;
  Limits limits_;
  std::function<std::time_t()> now_;
  std::size_t steps_ = 0;
  std::size_t work_ = 0;
  int depth_ = 0;
  int line_ = 1;
  bool escapes_ = false;
  std::vector<std::weak_ptr<Namespace>, Counted<std::weak_ptr<Namespace>>>
      spaces_;  // emptied at the end, as they may contain themselves
  std::size_t spaces_to_sweep_ = 1024;
  Use use_;
};

}  // namespace llamajit::jinja
