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
  std::vector<Value> all;
  for (std::int64_t i = begin; stride > 0 ? i < end : i > end;) {
    call.execution.allocate(sizeof(Value));
    all.emplace_back(i);
    if (__builtin_add_overflow(i, stride, &i)) break;
  }
  return call.execution.list(std::move(all));
}

Dict named_arguments(const Call& call) {
  Dict dict;
  for (const Value& from : call.arguments.positional) {
    if (from.dict() == nullptr) call.fail("a dictionary", from);
    dict.entries = from.dict()->entries;
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

// The template's own way to say that it can't be used like this.
Value raise_exception(const Call& call) {
  call.execution.fail(fmt::format("the template says: {}", escaped(call.required_text(0, "message"))));
}

Value strftime_now(const Call& call) {
  const std::string& format = call.required_text(0, "format");
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
  return Function{name, [name](Execution& execution, const Arguments& arguments) {
                    return Body(Call{execution, name, arguments});
                  }};
}

}  // namespace

const Value* find_function(std::string_view name) {
  static const std::array<std::pair<std::string_view, Value>, 5> kFunctions = {
      {{"range", function<range>("range")},
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
