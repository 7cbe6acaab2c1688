// JSON as a template's value.
#pragma once

#include <string>
#include <string_view>

#include "runtime/jinja/value.h"

namespace llamajit::jinja {

// Throws std::runtime_error that names `name` for what is no JSON, or has more levels than templates may.
Value parse_json(std::string_view text, const std::string& name);
// The same; where it is no JSON, the text itself.
Value json_or_text(std::string_view text);

}  // namespace llamajit::jinja
