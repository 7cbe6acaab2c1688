// Operators on two values.
#pragma once

#include "runtime/jinja/execution.h"
#include "runtime/jinja/syntax.h"

namespace llamajit::jinja {

// `op` is one of Operator's values from add to concatenate.
Value arithmetic(Execution& execution, Operator op, const Value& a, const Value& b);
Value negated(Execution& execution, const Value& value);

}  // namespace llamajit::jinja
