// Interpreter, its macros.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "runtime/jinja/call.h"
#include "runtime/jinja/interpreter.h"
#include "tokenizer/utf8.h"

namespace llamajit::jinja {

void Interpreter::define_macro(const Statement& s) {
  const auto call = [this, &s, escaping = escaping_](Execution&, const Arguments& arguments) {
    return call_macro(s, arguments, escaping);
  };
  const auto member = [&s](std::string_view name) {
    return name == "name" ? Value(s.text) : Value(Undefined{std::string(name)});
  };
  set(s.text, Function{s.text, call, member});
}

// The block becomes a macro that sees the variables of where it stands.
void Interpreter::call_with_block(const Statement& s) {
  const Value caller = Function{
      "caller", [this, &s, seen = inner_, escaping = escaping_](Execution&, const Arguments& arguments) {
        return call_macro(s, arguments, escaping, seen);
      }};
  print(to_text(execution_, call(*s.expression, caller)));
}

// A macro sees the template's variables and those of `seen`, not those of where it is called. Called where values
// are escaped, it has made markup.
Value Interpreter::call_macro(const Statement& s, const Arguments& arguments, Escaping escaping,
                              std::vector<Scope> seen) {
  std::vector<Scope> callers = std::exchange(inner_, std::move(seen));
  const Escaping callers_escaping = std::exchange(escaping_, escaping);
  inner_.emplace_back();
  set_further_arguments(s, arguments);
  set_parameters(s, arguments);
  Scope scope = std::move(inner_.back());
  inner_.pop_back();
  std::string rendered = render_apart(s.body, std::move(scope)).first;
  escaping_ = callers_escaping;
  inner_ = std::move(callers);
  return execution_.text(std::move(rendered), execution_.escapes());
}

void Interpreter::set_parameters(const Statement& s, const Arguments& arguments) {
  for (std::size_t i = 0; i < s.names.size(); ++i) {
    if (i < arguments.positional.size() && arguments.find_named(s.names[i]) != nullptr) {
      execution_.fail(fmt::format("macro '{}'", escaped(s.text)),
                      fmt::format("one value for '{}'", escaped(s.names[i])), "two");
    }
    const Value* const given = arguments.find(i, s.names[i]);
    set(s.names[i], given != nullptr ? *given
                    : s.defaults[i]  ? evaluate(*s.defaults[i])
                                     : Value(Undefined{s.names[i]}));
  }
}

// Those that are no parameters: `varargs`, `kwargs` and `caller`, where the body speaks of them.
void Interpreter::set_further_arguments(const Statement& s, const Arguments& arguments) {
  const auto refuse = [&](std::string_view expected, const std::string& found) {
    execution_.fail(fmt::format("macro '{}'", escaped(s.text)), expected, found);
  };
  std::vector<Value> varargs;
  for (std::size_t i = s.names.size(); i < arguments.positional.size(); ++i) {
    varargs.push_back(arguments.positional[i]);
  }
  if (!varargs.empty() && !s.has_varargs) {
    refuse(fmt::format("at most {} arguments", s.names.size()), fmt::to_string(arguments.positional.size()));
  }
  Dict kwargs;
  Value caller = Undefined{"caller"};
  for (const auto& [name, value] : arguments.named) {
    if (std::ranges::count(s.names, name) > 0) continue;
    if (name == "caller" && s.has_caller) {
      caller = value;
    } else if (s.has_kwargs) {
      kwargs.set(name, value);
    } else {
      refuse("names of its parameters", fmt::format("'{}'", escaped(name)));
    }
  }
  if (s.has_varargs) set("varargs", execution_.tuple(std::move(varargs)));
  if (s.has_kwargs) set("kwargs", execution_.dict(std::move(kwargs)));
  if (s.has_caller) set("caller", std::move(caller));
}

}  // namespace llamajit::jinja
