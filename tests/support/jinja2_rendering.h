// What Jinja itself (python3-jinja2) makes of templates.
#pragma once

#include <optional>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "tests/support/find_program.h"
#include "tests/support/subprocess.h"

namespace llamajit::test {

// For each {"template": text, "variables": {…}} of the list {"text": …} or {"error": …}; nothing without python3
// and jinja2.
inline std::optional<nlohmann::ordered_json> rendered_by_jinja2(const nlohmann::ordered_json& tests) {
  const std::string python = find_program("python3");
  if (python.empty() || run_child({python, "-c", "import jinja2"}).exit_code != 0) return std::nullopt;
  ChildOptions options;
  options.input = tests.dump();
  options.environment = {{"PYTHONUTF8", "1"}};
  const ChildResult result =
      run_child({python, LLAMAJIT_SOURCE_DIR "/tests/golden/render_templates.py"}, options);
  if (result.exit_code != 0) throw std::runtime_error(result.err);
  return nlohmann::ordered_json::parse(result.out);
}

}  // namespace llamajit::test
