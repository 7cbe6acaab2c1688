// Templates in the part of Jinja that chat templates use: text, {{ expressions }} with filters and tests,
// {% if %}, {% for %} with break and continue, {% set %}, {% macro %}, {% generation %}, {% raw %},
// namespaces, and the blanks that tags take with them. No template has access to anything but the values that
// it is given: there is no include, no import, and no attribute that leads out of a value.
#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/jinja/execution.h"
#include "runtime/jinja/syntax.h"
#include "runtime/jinja/value.h"

namespace llamajit::jinja {

class Template {
 public:
  // `name` is for messages. Throws std::runtime_error that names the template, the line, what was expected
  // and what was found.
  Template(std::string_view source, std::string name);

  // May be called from several threads. Throws the same; also for what goes beyond the limits. `now` is what
  // strftime_now() shows.
  std::string render(
      const Dict& variables, const Limits& limits = {},
      const std::function<std::time_t()>& now = [] { return std::time(nullptr); }) const;

 private:
  std::string name_;
  Block block_;
};

}  // namespace llamajit::jinja
