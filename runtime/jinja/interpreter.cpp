#include "runtime/jinja/interpreter.h"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include "runtime/jinja/arithmetic.h"
#include "runtime/jinja/call.h"
#include "runtime/jinja/text.h"
#include "tokenizer/utf8.h"

namespace llamajit::jinja {
namespace {

// Where a slice of step 1 begins and ends.
std::pair<std::int64_t, std::int64_t> slice_bounds(std::int64_t size, const std::optional<std::int64_t>& from,
                                                   const std::optional<std::int64_t>& to) {
  const auto bound = [&](std::int64_t i) { return std::clamp<std::int64_t>(i < 0 ? i + size : i, 0, size); };
  return {from ? bound(*from) : 0, to ? bound(*to) : size};
}

// Where a slice begins and how far it goes, of a sequence of `size`, as Python has it.
std::vector<std::size_t, Counted<std::size_t>> slice_indices(std::int64_t size,
                                                             const std::optional<std::int64_t>& from,
                                                             const std::optional<std::int64_t>& to,
                                                             std::int64_t stride) {
  const auto bound = [&](std::int64_t i) {
    if (i < 0) i += size;
    return stride > 0 ? std::clamp<std::int64_t>(i, 0, size) : std::clamp<std::int64_t>(i, -1, size - 1);
  };
  const std::int64_t begin = from ? bound(*from) : stride > 0 ? 0 : size - 1;
  const std::int64_t end = to ? bound(*to) : stride > 0 ? size : -1;
  std::vector<std::size_t, Counted<std::size_t>> indices;
  for (std::int64_t i = begin; stride > 0 ? i < end : i > end;) {
    indices.push_back(static_cast<std::size_t>(i));
    if (__builtin_add_overflow(i, stride, &i)) break;
  }
  return indices;
}

}  // namespace

String Interpreter::render(const Block& block) {
  run(block);
  return std::move(out_);
}

void Interpreter::print(std::string_view text) {
  execution_.check_output(out_.size() + text.size());
  out_ += text;
}

Value Interpreter::evaluate(const Expression& e) {
  const Execution::At at(execution_, e.line);
  return evaluate_in_place(e);
}

Value Interpreter::evaluate_in_place(const Expression& e) {
  using Kind = Expression::Kind;
  switch (e.kind) {
    case Kind::constant:
      return e.value;
    case Kind::name:
      return name(e.name);
    case Kind::list:
    case Kind::tuple:
      return execution_.list(evaluate_all(e, 0),
                             e.kind == Kind::tuple ? List::Kind::tuple : List::Kind::list);
    case Kind::dict:
      return dict(e);
    case Kind::attribute:
      return attribute_of(execution_, evaluate(*e.parts[0]), e.name);
    case Kind::item: {
      const Value object = evaluate(*e.parts[0]);
      return item_of(execution_, object, evaluate(*e.parts[1]));
    }
    case Kind::slice:
      return slice(e);
    case Kind::call:
      return call(e);
    case Kind::filter: {
      const Value value = evaluate(*e.parts[0]);
      return apply_filter(execution_, e.name, value, arguments(e));
    }
    case Kind::test: {
      const Value value = evaluate(*e.parts[0]);
      return apply_test(execution_, e.name, value, arguments(e));
    }
    case Kind::unary:
      return unary(e);
    case Kind::binary:
      return binary(e);
    case Kind::comparison:
      return comparison(e);
    case Kind::conditional:
      return conditional(e);
  }
  return {};
}

Value Interpreter::name(std::string_view name) const {
  constexpr std::size_t kLookUp = 64;  // a scope's, as so many bytes copied
  for (std::size_t i = inner_.size(); i-- > 0;) {
    execution_.work(kLookUp);
    if (const Value* value = inner_[i].find(name)) return *value;
  }
  if (const Value* value = outer_.find(name)) return *value;
  if (const Value* value = globals_.find(name)) return *value;
  const Value* const function = find_function(name);
  return function != nullptr ? *function : Value(Undefined{String(name)});
}

Scopes Interpreter::copied(const Scopes& scopes) {
  for (const Scope& scope : scopes)
    execution_.work((1 + scope.size()) * sizeof(std::pair<std::string_view, Value>));
  return scopes;
}

Values Interpreter::evaluate_all(const Expression& e, std::size_t from) {
  Values values;
  for (std::size_t i = from; i < e.parts.size(); ++i) values.push_back(evaluate(*e.parts[i]));
  return values;
}

Value Interpreter::dict(const Expression& e) {
  Dict made;
  for (std::size_t i = 0; i < e.parts.size(); i += 2) {
    const Value key = evaluate(*e.parts[i]);
    if (!may_be_key(execution_, key)) execution_.fail("dictionary", "a key that can't change", key.kind());
    made.set(key, evaluate(*e.parts[i + 1]));
  }
  return execution_.dict(std::move(made));
}

Value Interpreter::slice(const Expression& e) {
  const Value object = evaluate(*e.parts[0]);
  const auto bound = [&](std::size_t part) -> std::optional<std::int64_t> {
    if (!e.parts[part]) return std::nullopt;
    const Value value = evaluate(*e.parts[part]);
    if (value.is_none()) return std::nullopt;
    if (!value.integer()) execution_.fail("slice", "an integer", value.kind());
    return value.integer();
  };
  const auto from = bound(1);
  const auto to = bound(2);
  const std::int64_t stride = bound(3).value_or(1);
  if (stride == 0) execution_.fail("slice", "a step", "0");
  if ((object.list() == nullptr || object.list()->is_view()) && object.text() == nullptr) {
    execution_.fail("slice", "a list or a string", object.kind());
  }
  if (const List* list = object.list()) {
    Values taken;
    for (const std::size_t i : slice_indices(std::ssize(list->items), from, to, stride)) {
      taken.push_back(list->items[i]);
    }
    return execution_.list(std::move(taken), list->is_tuple() ? List::Kind::tuple : list->kind);
  }
  execution_.work_on_characters(*object.text());
  String text;
  if (stride == 1) {
    const auto indices = slice_bounds(static_cast<std::int64_t>(count_characters(*object.text())), from, to);
    std::int64_t i = 0;
    for (const std::string_view c : EachCharacter(*object.text())) {
      if (i >= indices.first && i < indices.second) text += c;
      ++i;
    }
    return execution_.text(std::move(text), object.is_markup());
  }
  const Views all = characters(*object.text());
  for (const std::size_t i : slice_indices(std::ssize(all), from, to, stride)) text += all[i];
  return execution_.text(std::move(text), object.is_markup());
}

Arguments Interpreter::arguments(const Expression& e) {
  Arguments made;
  made.positional = evaluate_all(e, 1);
  if (e.more) {
    const Values more = elements_of(execution_, evaluate(*e.more));
    made.positional.insert(made.positional.end(), more.begin(), more.end());
  }
  for (const auto& [name, value] : e.named) made.named.emplace_back(name, evaluate(*value));
  if (!e.more_named) return made;
  const Value more = evaluate(*e.more_named);
  const auto is_given = [&](std::string_view name) {  // those of a dictionary differ from each other
    execution_.work(e.named.size());
    return std::ranges::any_of(e.named, [&](const auto& given) { return given.first == name; });
  };
  if (more.dict() == nullptr) execution_.fail("'**'", "a dictionary", more.kind());
  execution_.work(more.dict()->entries.size() * sizeof(Value));
  for (const auto& [name, value] : more.dict()->entries) {
    execution_.work_on(name);
    if (name.text() == nullptr || is_given(*name.text())) {
      execution_.fail("'**'", "names that are not given yet", to_repr(execution_, name));
    }
    made.named.emplace_back(*name.text(), value);
  }
  return made;
}

Value Interpreter::call(const Expression& e, const Value& caller) {
  const Value callee = evaluate(*e.parts[0]);
  Arguments given = arguments(e);
  if (!caller.is_undefined()) given.named.emplace_back("caller", caller);
  if (callee.function() == nullptr || !callee.function()->call) {
    execution_.fail(e.parts[0]->name.empty() ? "call" : fmt::format("'{}'", shown_text(e.parts[0]->name)),
                    "a function that templates here have", callee.kind());
  }
  return callee.function()->call(execution_, given);
}

Value Interpreter::unary(const Expression& e) {
  const Value value = evaluate(*e.parts[0]);
  switch (e.operators[0]) {
    case Operator::logical_not:
      return !value.truth();
    case Operator::minus:
      return negated(execution_, value);
    default:
      if (!value.number()) execution_.fail("plus", "a number", value.kind());
      return value.integer() ? Value(*value.integer()) : value;
  }
}

Value Interpreter::binary(const Expression& e) {
  Value left = evaluate(*e.parts[0]);
  const Operator op = e.operators[0];
  if (op == Operator::logical_or) return left.truth() ? left : evaluate(*e.parts[1]);
  if (op == Operator::logical_and) return left.truth() ? evaluate(*e.parts[1]) : left;
  const Value right = evaluate(*e.parts[1]);
  if (op == Operator::concatenate) return concatenated(execution_, left, right, escaping_.joins);
  return arithmetic(execution_, op, left, right);
}

bool Interpreter::comparison(const Expression& e) {
  const auto holds = [&](Operator op, const Value& a, const Value& b) {
    switch (op) {
      case Operator::equal:
        return equal(execution_, a, b);
      case Operator::unequal:
        return !equal(execution_, a, b);
      case Operator::within:
        return contains(execution_, b, a);
      case Operator::not_within:
        return !contains(execution_, b, a);
      case Operator::less:
        return compare(execution_, a, b) < 0;
      case Operator::less_equal:
        return compare(execution_, a, b) <= 0;
      case Operator::greater:
        return compare(execution_, a, b) > 0;
      default:
        return compare(execution_, a, b) >= 0;
    }
  };
  Value left = evaluate(*e.parts[0]);
  for (std::size_t i = 0; i < e.operators.size(); ++i) {
    Value right = evaluate(*e.parts[i + 1]);
    if (!holds(e.operators[i], left, right)) return false;
    left = std::move(right);
  }
  return true;
}

Value Interpreter::conditional(const Expression& e) {
  if (evaluate(*e.parts[1]).truth()) return evaluate(*e.parts[0]);
  return e.parts[2] ? evaluate(*e.parts[2]) : Value(Undefined{"the value of 'if' without 'else'"});
}

}  // namespace llamajit::jinja
