// Interpreter, its loops.
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "runtime/jinja/call.h"
#include "runtime/jinja/interpreter.h"

namespace llamajit::jinja {
namespace {

// What the rounds of a loop share.
struct Rounds {
  Values items;
  int depth;       // of a recursive loop, from 1
  Value before{};  // a namespace with what changed() was last given, or undefined
};

Value cycle(Execution& execution, const Arguments& arguments, std::size_t round) {
  if (arguments.positional.empty()) execution.fail("cycle", "values", "none");
  return arguments.positional[round % arguments.positional.size()];
}

Value changed(Execution& execution, const Arguments& arguments, Rounds& rounds) {
  Value now = execution.tuple(arguments.positional);
  if (rounds.before.is_undefined()) rounds.before = execution.space({});
  Dict& members = rounds.before.space()->members;
  const Value* const last = members.find("last");
  const bool same = last != nullptr && equal(execution, *last, now);
  if (!same) members.set("last", std::move(now));
  return !same;
}

Value member_of_loop(const std::shared_ptr<Rounds>& rounds, std::size_t i, std::string_view name) {
  const auto number = [](std::size_t n) { return Value(static_cast<std::int64_t>(n)); };
  const std::size_t n = rounds->items.size();
  if (name == "index") return number(i + 1);
  if (name == "index0") return number(i);
  if (name == "first") return i == 0;
  if (name == "last") return i + 1 == n;
  if (name == "length") return number(n);
  if (name == "revindex") return number(n - i);
  if (name == "revindex0") return number(n - i - 1);
  if (name == "previtem" && i > 0) return rounds->items[i - 1];
  if (name == "nextitem" && i + 1 < n) return rounds->items[i + 1];
  if (name == "depth") return std::int64_t{rounds->depth};
  if (name == "depth0") return std::int64_t{rounds->depth - 1};
  if (name == "cycle") {
    return Function{"cycle", [i](Execution& execution, const Arguments& arguments) {
                      return cycle(execution, arguments, i);
                    }};
  }
  if (name == "changed") {
    return Function{"changed", [rounds](Execution& execution, const Arguments& arguments) {
                      return changed(execution, arguments, *rounds);
                    }};
  }
  return Undefined{printed_to_string("loop.{}", name)};
}

}  // namespace

Values Interpreter::loop_items(const Statement& s, const Value& over) {
  Values items = elements_of(execution_, over);
  if (!s.condition) return items;
  std::erase_if(items, [&](const Value& item) {
    inner_.emplace_back();
    assign(s.target, item);
    const bool keep = evaluate(*s.condition).truth();
    inner_.pop_back();
    return !keep;
  });
  return items;
}

Interpreter::Flow Interpreter::loop(const Statement& s, const Value& over, int depth) {
  const auto rounds = std::allocate_shared<Rounds>(Counted<Rounds>(), Rounds{loop_items(s, over), depth});
  const std::size_t n = rounds->items.size();
  Function loop{"loop", {}, {}};
  if (s.flag) {
    const auto seen = std::allocate_shared<const Scopes>(Counted<Scopes>(), copied(inner_));
    loop.call = [this, &s, depth, seen](Execution&, const Arguments& arguments) {
      return loop_again(s, arguments, depth, *seen);
    };
  }
  for (std::size_t i = 0; i < n; ++i) {
    loop.member = [rounds, i](std::string_view name) { return member_of_loop(rounds, i, name); };
    inner_.emplace_back();
    set("loop", loop);
    assign(s.target, rounds->items[i]);
    const Flow flow = run(s.body);
    inner_.pop_back();
    if (flow == Flow::leave) return Flow::normal;
  }
  if (n > 0) return Flow::normal;
  inner_.emplace_back();
  const Flow flow = run(s.other);
  inner_.pop_back();
  return flow;
}

// `loop(items)` inside of a recursive loop: what the loop prints for these.
Value Interpreter::loop_again(const Statement& s, const Arguments& arguments, int depth, const Scopes& seen) {
  if (arguments.positional.size() != 1) {
    execution_.fail("loop", "one argument", fmt::to_string(arguments.positional.size()));
  }
  String before = std::exchange(out_, {});
  Scopes callers = std::exchange(inner_, copied(seen));
  loop(s, arguments.positional[0], depth + 1);
  inner_ = std::move(callers);
  return execution_.text(std::exchange(out_, std::move(before)), escaping_.prints);
}

}  // namespace llamajit::jinja
