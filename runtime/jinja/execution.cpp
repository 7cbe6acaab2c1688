#include "runtime/jinja/execution.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace llamajit::jinja {

Execution::~Execution() {
  for (const auto& weak : spaces_) {
    // What the members' destruction destroys in turn must find the others alive.
    if (const auto space = weak.lock()) const auto members = std::exchange(space->members.entries, {});
  }
}

void Execution::fail(std::string_view message) const {
  throw std::runtime_error(fmt::format("{}: line {}: {}", name_, line_, message));
}

void Execution::fail(std::string_view what, std::string_view expected, std::string_view found) const {
  fail(fmt::format("{}: expected {}, found {}", what, expected, found));
}

void Execution::step() {
  if (++steps_ > limits_.steps) fail(fmt::format("expected at most {} steps, found more", limits_.steps));
}

void Execution::allocate(std::size_t bytes) {
  if (bytes > limits_.bytes || live_ > limits_.bytes - bytes) {
    fail(fmt::format("expected values of at most {} bytes together, found more", limits_.bytes));
  }
  if (bytes > limits_.work - work_) {
    fail(fmt::format("expected values of at most {} bytes one after another, found more", limits_.work));
  }
  work_ += bytes;
}

void Execution::check_output(std::size_t bytes) const {
  if (bytes > limits_.output) {
    fail(fmt::format("expected a result of at most {} bytes, found more", limits_.output));
  }
}

void Execution::check_nesting(int nesting) const {
  if (nesting > limits_.nesting) {
    fail(fmt::format("expected at most {} values within each other, found more", limits_.nesting));
  }
}

template <class T>
std::shared_ptr<T> Execution::charged(std::remove_const_t<T> value, std::size_t bytes) {
  allocate(bytes);
  auto holder = std::make_shared<Charged<T>>(live_, bytes, std::move(value));
  return {holder, &holder->value};
}

Value Execution::text(std::string text, bool markup) {
  const std::size_t bytes = text.size();
  return Text{charged<const std::string>(std::move(text), bytes), markup};
}

Value Execution::list(std::vector<Value> items, List::Kind kind) {
  List list{std::move(items), kind};
  list.measure_nesting();
  check_nesting(list.nesting);
  const std::size_t bytes = list.items.size() * sizeof(Value);
  return charged<const List>(std::move(list), bytes);
}

Value Execution::iterator(std::vector<Value> items) {
  Iterator iterator{std::move(items)};
  for (const Value& item : iterator.items) iterator.nesting = std::max(iterator.nesting, 1 + item.nesting());
  check_nesting(iterator.nesting);
  const std::size_t bytes = iterator.items.size() * sizeof(Value);
  return charged<Iterator>(std::move(iterator), bytes);
}

Value Execution::dict(Dict dict) {
  dict.measure_nesting();
  check_nesting(dict.nesting);
  const std::size_t bytes = dict.entries.size() * sizeof dict.entries.front();
  return charged<const Dict>(std::move(dict), bytes);
}

Value Execution::space(Dict members) {
  const std::size_t bytes = sizeof(Namespace) + members.entries.size() * sizeof members.entries.front();
  const auto space = charged<Namespace>(Namespace{std::move(members)}, bytes);
  remember(space);
  return space;
}

// Those that are gone are swept out whenever the list has doubled.
void Execution::remember(const std::shared_ptr<Namespace>& space) {
  spaces_.emplace_back(space);
  if (spaces_.size() < spaces_to_sweep_) return;
  std::erase_if(spaces_, [](const auto& weak) { return weak.expired(); });
  spaces_to_sweep_ = 2 * spaces_.size() + 1024;
}

Execution::At::At(Execution& execution, int line)
    : execution_(execution), line_before_(std::exchange(execution.line_, line)) {
  execution.step();
  if (++execution.depth_ <= execution.limits_.depth) return;
  execution.fail(fmt::format("expected at most {} expressions and calls within each other, found more",
                             execution.limits_.depth));
}

Execution::At::~At() {
  execution_.line_ = line_before_;
  --execution_.depth_;
}

}  // namespace llamajit::jinja
