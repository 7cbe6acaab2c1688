// Interpreter, its statements.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "runtime/jinja/call.h"
#include "runtime/jinja/interpreter.h"
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
      print(to_text(execution_, evaluate(*s.expression)));
      return Flow::normal;
    case Statement::Kind::branches:
      return branches(s);
    case Statement::Kind::loop:
      return loop(s);
    case Statement::Kind::set:
      assign(s);
      return Flow::normal;
    case Statement::Kind::set_block:
      set_block(s);
      return Flow::normal;
    case Statement::Kind::macro:
      define_macro(s);
      return Flow::normal;
    case Statement::Kind::scope:
      print(render_apart(s.body, {}));
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

void Interpreter::set(const std::string& name, Value value) {
  Scope& scope = innermost();
  const auto found = std::ranges::find(scope, name, [](const auto& entry) { return entry.first; });
  if (found != scope.end()) {
    found->second = std::move(value);
  } else {
    scope.emplace_back(name, std::move(value));
  }
}

void Interpreter::unpack(const std::vector<std::string>& names, const Value& value) {
  if (names.size() == 1) return set(names[0], value);
  const std::vector<Value> values = elements_of(execution_, value);
  if (values.size() != names.size()) {
    execution_.fail("names", fmt::format("{} values for {} names", names.size(), names.size()),
                    fmt::to_string(values.size()));
  }
  for (std::size_t i = 0; i < names.size(); ++i) set(names[i], values[i]);
}

std::vector<Value> Interpreter::loop_items(const Statement& s) {
  std::vector<Value> items = elements_of(execution_, evaluate(*s.expression));
  if (!s.condition) return items;
  std::erase_if(items, [&](const Value& item) {
    inner_.emplace_back();
    unpack(s.names, item);
    const bool keep = evaluate(*s.condition).truth();
    inner_.pop_back();
    return !keep;
  });
  return items;
}

namespace {

Value loop_variable(const std::vector<Value>& items, std::size_t i) {
  const auto number = [](std::size_t n) { return Value(static_cast<std::int64_t>(n)); };
  Dict loop;
  loop.entries = {{"index", number(i + 1)},
                  {"index0", number(i)},
                  {"first", i == 0},
                  {"last", i + 1 == items.size()},
                  {"length", number(items.size())},
                  {"revindex", number(items.size() - i)},
                  {"revindex0", number(items.size() - i - 1)},
                  {"previtem", i > 0 ? items[i - 1] : Value(Undefined{"loop.previtem"})},
                  {"nextitem", i + 1 < items.size() ? items[i + 1] : Value(Undefined{"loop.nextitem"})}};
  loop.entries.emplace_back("cycle", Function{"cycle", [i](Execution& execution, const Arguments& arguments) {
                                                if (arguments.positional.empty()) {
                                                  execution.fail("cycle", "values", "none");
                                                }
                                                return arguments.positional[i % arguments.positional.size()];
                                              }});
  return loop;
}

}  // namespace

Interpreter::Flow Interpreter::loop(const Statement& s) {
  const std::vector<Value> items = loop_items(s);
  for (std::size_t i = 0; i < items.size(); ++i) {
    inner_.emplace_back();
    set("loop", loop_variable(items, i));
    unpack(s.names, items[i]);
    const Flow flow = run(s.body);
    inner_.pop_back();
    if (flow == Flow::leave) return Flow::normal;
  }
  if (!items.empty()) return Flow::normal;
  inner_.emplace_back();
  const Flow flow = run(s.other);
  inner_.pop_back();
  return flow;
}

void Interpreter::assign(const Statement& s) {
  store(s, evaluate(*s.expression));
}

// Under the statement's names, or in a namespace.
void Interpreter::store(const Statement& s, const Value& value) {
  if (s.attribute.empty()) return unpack(s.names, value);
  Expression variable;
  variable.kind = Expression::Kind::name;
  variable.name = s.names[0];
  const Value space = name(variable);
  if (space.space() == nullptr) {
    execution_.fail(fmt::format("'{}'", escaped(s.names[0])), "a namespace", space.kind());
  }
  execution_.allocate(s.attribute.size() + sizeof(Value));
  space.space()->members.set(s.attribute, value);
}

// Returns what the block prints, with variables of its own.
std::string Interpreter::render_apart(const Block& block, Scope scope) {
  std::string before = std::exchange(out_, {});
  inner_.push_back(std::move(scope));
  run(block);
  inner_.pop_back();
  std::string rendered = std::exchange(out_, std::move(before));
  execution_.allocate(rendered.size());
  return rendered;
}

void Interpreter::set_block(const Statement& s) {
  Value value(render_apart(s.body, {}));
  if (s.expression) {
    // The filters' innermost operand is the block.
    inner_.emplace_back();
    set("", value);
    value = evaluate(*s.expression);
    inner_.pop_back();
  }
  store(s, value);
}

void Interpreter::define_macro(const Statement& s) {
  set(s.text, Function{s.text, [this, &s](Execution&, const Arguments& arguments) {
                         return call_macro(s, arguments);
                       }});
}

// The block becomes a macro that sees the variables of where it stands.
void Interpreter::call_with_block(const Statement& s) {
  const Value caller = Function{"caller", [this, &s, seen = inner_](Execution&, const Arguments& arguments) {
                                  return call_macro(s, arguments, seen);
                                }};
  print(to_text(execution_, call(*s.expression, caller)));
}

// A macro sees the template's variables and those of `seen`, not those of where it is called.
Value Interpreter::call_macro(const Statement& s, const Arguments& arguments, std::vector<Scope> seen) {
  if (arguments.positional.size() > s.names.size()) {
    execution_.fail(fmt::format("macro '{}'", escaped(s.text)),
                    fmt::format("at most {} arguments", s.names.size()),
                    fmt::to_string(arguments.positional.size()));
  }
  std::vector<Scope> callers = std::exchange(inner_, std::move(seen));
  inner_.emplace_back();
  if (const Value* caller = arguments.find(s.names.size(), "caller")) set("caller", *caller);
  for (std::size_t i = 0; i < s.names.size(); ++i) {
    const Value* const given = arguments.find(i, s.names[i]);
    set(s.names[i], given != nullptr ? *given
                    : s.defaults[i]  ? evaluate(*s.defaults[i])
                                     : Value(Undefined{s.names[i]}));
  }
  Scope scope = std::move(inner_.back());
  inner_.pop_back();
  std::string rendered = render_apart(s.body, std::move(scope));
  inner_ = std::move(callers);
  return {std::move(rendered)};
}

}  // namespace llamajit::jinja
