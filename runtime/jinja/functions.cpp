// The functions that every template has.
#include <array>
#include <ctime>
#include <utility>

#include <fmt/format.h>

#include "runtime/jinja/call.h"
#include "tokenizer/utf8.h"

namespace llamajit::jinja {
namespace {

Value range(const Call& call) {
  const bool one = call.arguments.positional.size() == 1;
  const std::int64_t begin = one ? 0 : call.integer(0, "start", 0);
  const std::int64_t end = one ? call.integer(0, "stop", 0) : call.integer(1, "stop", 0);
  const std::int64_t stride = call.integer(2, "step", 1);
  if (stride == 0) call.execution.fail("range", "a step", "0");
  constexpr std::size_t kMost = 100'000;  // Jinja's sandbox has no more
  Values all;
  for (std::int64_t i = begin; stride > 0 ? i < end : i > end;) {
    if (all.size() == kMost) call.execution.fail("range", fmt::format("at most {} numbers", kMost), "more");
    all.emplace_back(i);
    if (__builtin_add_overflow(i, stride, &i)) break;
  }
  return call.execution.list(std::move(all), List::Kind::range);
}

// A dictionary or pairs, and the named arguments.
Dict named_arguments(const Call& call) {
  Dict dict;
  for (const Value& from : call.arguments.positional) {
    if (from.dict() != nullptr) {
      dict = *from.dict();
      continue;
    }
    if (from.list() == nullptr && from.iterator() == nullptr) call.fail("a dictionary or pairs", from);
    for (const Value& pair : elements_of(call.execution, from)) {
      const Values parts = elements_of(call.execution, pair);
      if (parts.size() != 2 || !may_be_key(call.execution, parts[0]))
        call.fail("pairs of a key and a value", pair);
      dict.set(parts[0], parts[1]);
    }
  }
  for (const auto& [name, value] : call.arguments.named) dict.set(name, value);
  return dict;
}

Value make_space(const Call& call) {
  return call.execution.space(named_arguments(call));
}

Value make_dict(const Call& call) {
  return call.execution.dict(named_arguments(call));
}

// A function that is given a namespace's members, which keep its state.
using StateFunction = Value (*)(Execution& execution, Dict& state);

Value with_state(std::string_view name, const Value& state, StateFunction call) {
  return Function{String(name), [state, call](Execution& execution, const Arguments&) {
                    return call(execution, state.space()->members);
                  }};
}

Value current(Execution&, Dict& state) {
  return state.find("items")->list()->items[static_cast<std::size_t>(*state.find("at")->integer())];
}

Value next(Execution& execution, Dict& state) {
  Value now = current(execution, state);
  const auto n = static_cast<std::int64_t>(state.find("items")->list()->items.size());
  state.set("at", (*state.find("at")->integer() + 1) % n);
  return now;
}

Value reset(Execution&, Dict& state) {
  state.set("at", std::int64_t{0});
  return None{};
}

// Goes round its values: .next(), .current, .reset().
Value make_cycler(const Call& call) {
  if (call.arguments.positional.empty()) call.execution.fail("cycler", "values", "none");
  Execution& execution = call.execution;
  const Value state =
      execution.space(Dict{{{"items", execution.list(call.arguments.positional)}, {"at", std::int64_t{0}}}});
  return Function{"cycler", {}, [&execution, state](std::string_view name) {
                    if (name == "current") return current(execution, state.space()->members);
                    if (name == "next") return with_state("next", state, next);
                    if (name == "reset") return with_state("reset", state, reset);
                    return Value(Undefined{printed_to_string("cycler.{}", name)});
                  }};
}

// Is nothing when it is called first, and then always its separator.
Value make_joiner(const Call& call) {
  const Value* const separator = call.given(0, "sep");
  const Value state =
      call.execution.space(Dict{{{"says", ""}, {"sep", separator != nullptr ? *separator : ", "}}});
  return with_state("joiner", state, [](Execution&, Dict& members) {
    Value says = *members.find("says");
    members.set("says", *members.find("sep"));
    return says;
  });
}

// The template's own way to say that it can't be used like this.
Value raise_exception(const Call& call) {
  const String message = to_text(call.execution, call.required(0, "message"));
  call.execution.fail(fmt::format("the template says: {}", shown_text(message)));
}

Value strftime_now(const Call& call) {
  const String& format = call.required_text(0, "format");
  constexpr std::size_t kLongest = 200;
  if (format.size() > kLongest) {
    call.execution.fail("strftime_now", fmt::format("a format of at most {} bytes", kLongest),
                        fmt::to_string(format.size()));
  }
  const std::time_t now = call.execution.now();
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 4096> buffer{};
  const std::size_t n = std::strftime(buffer.data(), buffer.size(), format.c_str(), &local);
  return call.execution.text({buffer.data(), n});
}

template <Value (*Body)(const Call&)>
Value function(const char* name) {
  return Function{String(name), [name](Execution& execution, const Arguments& arguments) {
                    return Body(Call{execution, name, arguments});
                  }};
}

}  // namespace

const Value* find_function(std::string_view name) {
  static const std::array<std::pair<std::string_view, Value>, 7> kFunctions = {
      {{"cycler", function<make_cycler>("cycler")},
       {"joiner", function<make_joiner>("joiner")},
       {"range", function<range>("range")},
       {"namespace", function<make_space>("namespace")},
       {"dict", function<make_dict>("dict")},
       {"raise_exception", function<raise_exception>("raise_exception")},
       {"strftime_now", function<strftime_now>("strftime_now")}}};
  for (const auto& [known, value] : kFunctions) {
    if (known == name) return &value;
  }
  return nullptr;
}

}  // namespace llamajit::jinja
