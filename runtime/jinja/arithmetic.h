// Operators on two values.
#pragma once

#include "runtime/jinja/execution.h"
#include "runtime/jinja/syntax.h"

namespace llamajit::jinja {

// `op` is one of Operator's values from add to power.
Value arithmetic(Execution& execution, Operator op, const Value& a, const Value& b);
// a ~ b. Where it escapes and one is markup, the other is escaped.
Value concatenated(Execution& execution, const Value& a, const Value& b, bool escapes);
Value negated(Execution& execution, const Value& value);

}  // namespace llamajit::jinja
