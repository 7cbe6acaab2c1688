#include "runtime/jinja/execution.h"

#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace llamajit::jinja {

Execution::~Execution() {
  for (const auto& space : spaces_) space->members.entries.clear();
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
  if (bytes > limits_.bytes - bytes_) {
    fail(fmt::format("expected values of at most {} bytes together, found more", limits_.bytes));
  }
  bytes_ += bytes;
}

void Execution::check_output(std::size_t bytes) const {
  if (bytes > limits_.output) {
    fail(fmt::format("expected a result of at most {} bytes, found more", limits_.output));
  }
}

void Execution::check_nesting(const Value& value) const {
  if (value.nesting() > limits_.nesting) {
    fail(fmt::format("expected at most {} values within each other, found more", limits_.nesting));
  }
}

Value Execution::text(std::string text) {
  allocate(text.size());
  return {std::move(text)};
}

Value Execution::list(std::vector<Value> items, bool tuple) {
  allocate(items.size() * sizeof(Value));
  Value value(List{std::move(items), tuple});
  check_nesting(value);
  return value;
}

Value Execution::dict(Dict dict) {
  allocate(dict.entries.size() * sizeof dict.entries.front());
  Value value(std::move(dict));
  check_nesting(value);
  return value;
}

Value Execution::space(Dict members) {
  allocate(sizeof(Namespace) + members.entries.size() * sizeof members.entries.front());
  spaces_.push_back(std::make_shared<Namespace>(Namespace{std::move(members)}));
  return {spaces_.back()};
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
