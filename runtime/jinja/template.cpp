#include "runtime/jinja/template.h"

#include <utility>

#include "runtime/jinja/interpreter.h"

namespace llamajit::jinja {

Template::Template(std::string_view source, std::string name)
    : name_(std::move(name)), block_(parse_template(source, name_)) {}

std::string Template::render(const Dict& variables, const Limits& limits,
                             const std::function<std::time_t()>& now) const {
  Execution execution(name_, limits, now);
  return std::string(std::string_view(Interpreter(execution, variables).render(block_)));
}

}  // namespace llamajit::jinja
