// Python's two ways to put values into a text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/jinja/execution.h"
#include "runtime/jinja/value.h"

namespace llamajit::jinja {

// How one value is written, as both ways have it: '[[fill]align][sign][#][0][width][,][.precision][type]'.
struct FormatSpec {
  String fill = " ";
  char align = 0;  // '<', '>', '^', '='; 0: as the type has it
  char sign = '-';
  bool alternative = false;
  bool zero = false;
  char grouping = 0;  // ',' or '_'
  std::int64_t width = 0;
  std::optional<std::int64_t> precision{};
  char type = 0;
};
// Fails for what str.format() refuses.
FormatSpec parse_format_spec(Execution& execution, std::string_view text);
// The value, as format() writes it.
String formatted(Execution& execution, const FormatSpec& spec, const Value& value);
// Digits with what stands before them, filled up to the width.
String padded(Execution& execution, const FormatSpec& spec, std::string_view text, char align);
String formatted_number(Execution& execution, const FormatSpec& spec, double x);
String formatted_integer(Execution& execution, const FormatSpec& spec, std::int64_t x);
String formatted_integer(Execution& execution, const FormatSpec& spec, const LargeInteger& x);

// 'format' % values. Values are escaped where the format is markup.
Value formatted_by_percent(Execution& execution, const Value& format, const Value& values);
// 'format'.format(arguments).
Value formatted_by_braces(Execution& execution, const Value& format, const Arguments& arguments);

}  // namespace llamajit::jinja
