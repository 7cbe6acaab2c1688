#include "runtime/jinja/execution.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace llamajit::jinja {

Execution::~Execution() {
  for (const auto& weak : spaces_) {
    // What the members' destruction destroys in turn must find the others alive.
    if (const auto space = weak.lock()) const auto members = std::exchange(space->members, {});
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
  if (limits_.cancel != nullptr && limits_.cancel->load(std::memory_order_relaxed)) {
    throw RenderingCancelled(fmt::format("{}: line {}: the rendering was cancelled", name_, line_));
  }
}

void Execution::work(std::size_t bytes) {
  if (bytes > limits_.work - work_) {
    fail(fmt::format("expected work on at most {} bytes one after another, found more", limits_.work));
  }
  work_ += bytes;
}

void Execution::work_on(const Value& value) {
  if (const String* text = value.text()) return work(text->size());
  if (const auto* large = value.as<LargeInteger>()) return work_on_characters(*large->digits);
}

void Execution::refuse_bytes() const {
  fail(fmt::format("expected values of at most {} bytes together, found more", limits_.bytes));
}

void Execution::allocate(std::size_t bytes) {
  if (!has_room_for(bytes)) refuse_bytes();
  work(bytes);
}

void Execution::check_output(std::size_t bytes) const {
  if (bytes > limits_.output) {
    fail(fmt::format("expected a result and strings of at most {} bytes, found more", limits_.output));
  }
}

void Execution::check_nesting(int nesting) const {
  if (nesting > limits_.nesting) {
    fail(fmt::format("expected at most {} values within each other, found more", limits_.nesting));
  }
}

Value Execution::text(String text, bool markup) {
  check_output(text.size());
  work(text.size());
  return Text{std::allocate_shared<const String>(Counted<String>(), std::move(text)), markup};
}

Value Execution::list(Values items, List::Kind kind) {
  work(items.size() * sizeof(Value));
  List list{std::move(items), kind};
  list.measure_nesting();
  check_nesting(list.nesting);
  return list;
}

Value Execution::iterator(Values items) {
  work(items.size() * sizeof(Value));
  Iterator iterator{std::move(items)};
  for (const Value& item : iterator.items) iterator.nesting = std::max(iterator.nesting, 1 + item.nesting());
  check_nesting(iterator.nesting);
  return std::allocate_shared<Iterator>(Counted<Iterator>(), std::move(iterator));
}

Value Execution::dict(Dict dict) {
  for (const auto& entry : dict.entries) work_on(entry.first);
  work(dict.entries.size() * sizeof dict.entries.front());
  dict.measure_nesting();
  check_nesting(dict.nesting);
  return dict;
}

Value Execution::space(Dict members) {
  work(members.entries.size() * sizeof members.entries.front());
  const auto space = std::allocate_shared<Namespace>(Counted<Namespace>(), Namespace{std::move(members)});
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
