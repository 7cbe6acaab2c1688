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
    return name == "name" ? Value(s.text) : Value(Undefined{String(name)});
  };
  set(s.text, Function{String(s.text), call, member});
}

// The block becomes a macro that sees the variables of where it stands.
void Interpreter::call_with_block(const Statement& s) {
  const auto seen = std::allocate_shared<const Scopes>(Counted<Scopes>(), copied(inner_));
  const Value caller =
      Function{"caller", [this, &s, seen, escaping = escaping_](Execution&, const Arguments& arguments) {
                 return call_macro(s, arguments, escaping, copied(*seen));
               }};
  print(to_text(execution_, call(*s.expression, caller)));
}

// A macro sees the template's variables and those of `seen`, not those of where it is called. Called where values
// are escaped, it has made markup.
Value Interpreter::call_macro(const Statement& s, const Arguments& arguments, Escaping escaping,
                              Scopes seen) {
  Scopes callers = std::exchange(inner_, std::move(seen));
  const Escaping callers_escaping = std::exchange(escaping_, escaping);
  inner_.emplace_back();
  set_further_arguments(s, arguments);
  set_parameters(s, arguments);
  Scope scope = std::move(inner_.back());
  inner_.pop_back();
  String rendered = render_apart(s.body, std::move(scope)).first;
  escaping_ = callers_escaping;
  inner_ = std::move(callers);
  return execution_.text(std::move(rendered), execution_.escapes());
}

void Interpreter::set_parameters(const Statement& s, const Arguments& arguments) {
  execution_.work(s.names.size() * (1 + arguments.named.size()));
  for (std::size_t i = 0; i < s.names.size(); ++i) {
    if (i < arguments.positional.size() && arguments.find_named(s.names[i]) != nullptr) {
      execution_.fail(fmt::format("macro '{}'", shown_text(s.text)),
                      fmt::format("one value for '{}'", shown_text(s.names[i])), "two");
    }
    const Value* const given = arguments.find(i, s.names[i]);
    set(s.names[i], given != nullptr ? *given
                    : s.defaults[i]  ? evaluate(*s.defaults[i])
                                     : Value(Undefined{String(s.names[i])}));
  }
}

// Those that are no parameters: `varargs`, `kwargs` and `caller`, where the body speaks of them.
void Interpreter::set_further_arguments(const Statement& s, const Arguments& arguments) {
  const auto refuse = [&](std::string_view expected, std::string_view found) {
    execution_.fail(fmt::format("macro '{}'", shown_text(s.text)), expected, found);
  };
  Values varargs;
  for (std::size_t i = s.names.size(); i < arguments.positional.size(); ++i) {
    varargs.push_back(arguments.positional[i]);
  }
  if (!varargs.empty() && !s.has_varargs) {
    refuse(fmt::format("at most {} arguments", s.names.size()), fmt::to_string(arguments.positional.size()));
  }
  Dict kwargs;
  execution_.work(arguments.named.size() * (1 + s.names.size()));
  Value caller = Undefined{"caller"};
  for (const auto& [name, value] : arguments.named) {
    if (std::ranges::count(s.names, std::string_view(name)) > 0) continue;
    if (name == "caller" && s.has_caller) {
      caller = value;
    } else if (s.has_kwargs) {
      kwargs.set(name, value);
    } else {
      refuse("names of its parameters", fmt::format("'{}'", shown_text(name)));
    }
  }
  if (s.has_varargs) set("varargs", execution_.tuple(std::move(varargs)));
  if (s.has_kwargs) set("kwargs", execution_.dict(std::move(kwargs)));
  if (s.has_caller) set("caller", std::move(caller));
}

}  // namespace llamajit::jinja
