// Interpreter, its statements.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "runtime/jinja/call.h"
#include "runtime/jinja/interpreter.h"
#include "runtime/jinja/text.h"
#include "tokenizer/utf8.h"

namespace llamajit::jinja {

Interpreter::Flow Interpreter::run(const Block& block) {
  for (const Statement& statement : block) {
    const Flow flow = run(statement);
    if (flow != Flow::normal) return flow;
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::run(const Statement& s) {
  const Execution::At at(execution_, s.line);
  switch (s.kind) {
    case Statement::Kind::text:
      print(s.text);
      return Flow::normal;
    case Statement::Kind::print:
      print_value(evaluate(*s.expression));
      return Flow::normal;
    case Statement::Kind::branches:
      return branches(s);
    case Statement::Kind::loop:
      return loop(s, evaluate(*s.expression), 1);
    case Statement::Kind::set:
      assign(s.target, evaluate(*s.expression));
      return Flow::normal;
    case Statement::Kind::set_block:
      return set_block(s);
    case Statement::Kind::filter_block:
      return filter_block(s);
    case Statement::Kind::with:
      return with(s);
    case Statement::Kind::autoescape:
      return autoescape(s);
    case Statement::Kind::block:
      block(s);
      return Flow::normal;
    case Statement::Kind::macro:
      define_macro(s);
      return Flow::normal;
    case Statement::Kind::scope:
      print(render_apart(s.body, {}).first);
      return Flow::normal;
    case Statement::Kind::call_block:
      call_with_block(s);
      return Flow::normal;
    case Statement::Kind::leave:
      return Flow::leave;
    case Statement::Kind::next_round:
      return Flow::next_round;
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::branches(const Statement& s) {
  for (const Branch& branch : s.branches) {
    if (!branch.condition || evaluate(*branch.condition).truth()) return run(branch.body);
  }
  return Flow::normal;
}

void Interpreter::assign(const Target& target, const Value& value) {
  if (target.is_tuple) {
    const Values values = elements_of(execution_, value);
    const std::size_t n = target.parts.size();
    if (values.size() != n) {
      execution_.fail("names", fmt::format("{} values for {} names", n, n), fmt::to_string(values.size()));
    }
    for (std::size_t i = 0; i < n; ++i) assign(target.parts[i], values[i]);
    return;
  }
  if (target.attribute.empty()) return set(target.name, value);
  const Value space = name(target.name);
  if (space.space() == nullptr) {
    execution_.fail(fmt::format("'{}'", shown_text(target.name)), "a namespace", space.kind());
  }
  execution_.work(target.attribute.size() + sizeof(Value));
  space.space()->members.set(target.attribute, value);
}

// Returns what the block prints, with variables of its own, and how it ended.
std::pair<String, Interpreter::Flow> Interpreter::render_apart(const Block& block, Scope scope) {
  String before = std::exchange(out_, {});
  inner_.push_back(std::move(scope));
  const Flow flow = run(block);
  inner_.pop_back();
  String rendered = std::exchange(out_, std::move(before));
  return {std::move(rendered), flow};
}

Interpreter::Flow Interpreter::with(const Statement& s) {
  Values values;
  values.reserve(s.defaults.size());
  for (const ExpressionPtr& value : s.defaults) values.push_back(evaluate(*value));
  inner_.emplace_back();
  for (std::size_t i = 0; i < values.size(); ++i) assign(s.target.parts[i], values[i]);
  const Flow flow = run(s.body);
  inner_.pop_back();
  return flow;
}

Interpreter::Flow Interpreter::autoescape(const Statement& s) {
  const bool escapes = evaluate(*s.expression).truth();
  const bool known = s.expression->kind == Expression::Kind::constant && !escaping_.volatile_;
  const Escaping around = std::exchange(escaping_, {escapes, escapes && known, !known});
  const bool called_from = execution_.set_escapes(escapes);
  inner_.emplace_back();
  const Flow flow = run(s.body);
  inner_.pop_back();
  execution_.set_escapes(called_from);
  escaping_ = around;
  return flow;
}

void Interpreter::print_value(const Value& value) {
  if (value.text() != nullptr && (!escaping_.prints || value.is_markup())) return print(*value.text());
  const String text = to_text(execution_, value);
  if (!escaping_.prints || value.is_markup()) return print(text);
  execution_.work_on_characters(text);
  print(escaped_for_html(text));
}

// What a block printed, through the statement's filters, whose innermost operand it is.
Value Interpreter::filtered(const Statement& s, String rendered) {
  Value value = execution_.text(std::move(rendered), escaping_.prints);
  if (!s.expression) return value;
  inner_.emplace_back();
  set("", std::move(value));
  value = evaluate(*s.expression);
  inner_.pop_back();
  return value;
}

// A loop that is left from inside of the block takes what was printed with it.
Interpreter::Flow Interpreter::set_block(const Statement& s) {
  auto [rendered, flow] = render_apart(s.body, {});
  if (flow != Flow::normal) return flow;
  const Value value = filtered(s, std::move(rendered));
  assign(s.target, execution_.escapes() ? execution_.text(to_text(execution_, value), true) : value);
  return flow;
}

Interpreter::Flow Interpreter::filter_block(const Statement& s) {
  auto [rendered, flow] = render_apart(s.body, {});
  if (flow == Flow::normal) print(to_text(execution_, filtered(s, std::move(rendered))));
  return flow;
}

void Interpreter::block(const Statement& s) {
  Scopes around = s.flag ? copied(inner_) : Scopes{};
  std::swap(inner_, around);
  const Escaping escaping = std::exchange(escaping_, {});  // Jinja's blocks know none from outside
  print(render_apart(s.body, {}).first);
  escaping_ = escaping;
  inner_ = std::move(around);
}

}  // namespace llamajit::jinja
