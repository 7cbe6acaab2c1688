#include "runtime/jinja/formatting.h"

#include <cmath>

#include <fmt/format.h>

#include "runtime/jinja/call.h"
#include "runtime/jinja/text.h"
#include "tokenizer/utf8.h"

namespace llamajit::jinja {
namespace {

// Python's repr() and ascii() of a value, or its text.
String converted(Execution& execution, char conversion, const Value& value) {
  if (conversion == 's') return to_text(execution, value);
  String shown = to_repr(execution, value);
  if (conversion == 'r') return shown;
  String out;
  for (const std::string_view c : EachCharacter(shown)) {
    const auto code = static_cast<std::uint32_t>(code_point(c));
    out += code < 0x80      ? String(c)
           : code < 0x100   ? printed_to_string("\\x{:02x}", code)
           : code < 0x10000 ? printed_to_string("\\u{:04x}", code)
                            : printed_to_string("\\U{:08x}", code);
  }
  return out;
}

String escaped_unless_markup(const Value& value, const String& text) {
  return value.is_markup() ? text : escaped_for_html(text);
}

// 'format' % values, conversion by conversion.
class PercentFormat {
 public:
  PercentFormat(Execution& execution, const Value& format, const Value& values)
      : execution_(execution), rest_(*format.text()), markup_(format.is_markup()), values_(values) {
    if (values.list() != nullptr && values.list()->is_tuple()) {
      many_ = &values.list()->items;
    }
  }

  Value format() {
    String out;
    while (!rest_.empty()) {
      const std::size_t end = std::min(rest_.find('%'), rest_.size());
      out += rest_.substr(0, end);
      rest_.remove_prefix(end);
      if (!rest_.empty()) out += conversion();
      execution_.check_output(out.size());
    }
    const bool may_be_left = values_.dict() != nullptr || (values_.list() != nullptr && many_ == nullptr);
    if (taken_ < count() && !may_be_left) refuse("no further values", "more");
    return execution_.text(std::move(out), markup_);
  }

 private:
  [[noreturn]] void refuse(std::string_view expected, std::string_view found) const {
    execution_.fail("'%'", expected, found);
  }
  std::size_t count() const { return many_ != nullptr ? many_->size() : 1; }

  const Value& next() {
    if (taken_ >= count()) refuse("a value for each conversion", "fewer");
    const std::size_t i = taken_++;
    return many_ != nullptr ? (*many_)[i] : values_;
  }

  char take() {
    if (rest_.empty()) refuse("a conversion's letter", "the format's end");
    const char c = rest_[0];
    rest_.remove_prefix(1);
    return c;
  }

  // A number, or '*', for which a value stands.
  std::int64_t number() {
    constexpr std::int64_t kLargest = 1'000'000;
    std::int64_t n = 0;
    if (rest_.starts_with('*')) {
      rest_.remove_prefix(1);
      const Value& given = next();
      if (!given.integer()) refuse("an integer for '*'", given.kind());
      n = *given.integer();
    }
    while (!rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9' && n <= kLargest) n = n * 10 + (take() - '0');
    if (n > kLargest || n < -kLargest) refuse(fmt::format("a width of at most {}", kLargest), "a larger one");
    return n;
  }

  // The member of a dictionary that '(name)' asks for.
  const Value* named() {
    if (!rest_.starts_with('(')) return nullptr;
    const std::size_t end = rest_.find(')');
    if (end == std::string_view::npos) refuse("')'", "the format's end");
    const std::string_view name = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    const Value* const member = values_.dict() != nullptr ? values_.dict()->find(name) : nullptr;
    if (member == nullptr) refuse(fmt::format("a dictionary with '{}'", shown_text(name)), "none");
    return member;
  }

  String conversion() {
    take();
    const Value* value = named();
    FormatSpec spec;
    for (; !rest_.empty() && std::string_view("-+ 0#").find(rest_[0]) != std::string_view::npos; take()) {
      const char flag = rest_[0];
      if (flag == '-') spec.align = '<';
      if (flag == '+' || (flag == ' ' && spec.sign != '+')) spec.sign = flag;
      if (flag == '0') spec.zero = true;
      if (flag == '#') spec.alternative = true;
    }
    spec.width = number();
    if (spec.width < 0) {
      spec.align = '<';
      spec.width = -spec.width;
    }
    if (rest_.starts_with('.')) {
      take();
      spec.precision = std::max<std::int64_t>(number(), 0);
    }
    while (!rest_.empty() && std::string_view("hlL").find(rest_[0]) != std::string_view::npos) take();
    spec.type = take();
    if (spec.type == '%') return "%";
    if (value == nullptr) value = &next();
    return convert(std::move(spec), *value);
  }

  String convert(FormatSpec spec, const Value& value) {
    const std::string_view type(&spec.type, 1);
    if (std::string_view("sra").find(type) != std::string_view::npos) return convert_text(spec, value);
    if (spec.type == 'c') return convert_character(spec, value);
    const bool whole = std::string_view("diu").find(type) != std::string_view::npos;
    const bool based = std::string_view("xXo").find(type) != std::string_view::npos;
    if (!whole && !based && std::string_view("eEfFgG").find(type) == std::string_view::npos) {
      refuse("a conversion that Python has", fmt::format("'{}'", shown_text(type)));
    }
    if (!value.number() || (based && !value.integer())) {
      refuse(fmt::format("a number for '%{}'", type), value.kind());
    }
    if (!whole && !based) return formatted_number(execution_, spec, *value.number());
    if (whole) spec.type = 'd';
    if (value.is_large()) return convert_integer(spec, *value.as<LargeInteger>());
    constexpr double kLimit = 9.2e18;
    if (!value.integer() && !(std::fabs(*value.number()) < kLimit))
      refuse("an integer of 64 bits", value.kind());
    const std::int64_t x = value.integer() ? *value.integer() : static_cast<std::int64_t>(*value.number());
    return convert_integer(spec, x);
  }

  // A precision is the least number of digits.
  template <class Integer>
  String convert_integer(FormatSpec spec, const Integer& x) {
    if (!spec.precision) return formatted_integer(execution_, spec, x);
    FormatSpec digits = spec;
    digits.align = 0;
    digits.zero = true;
    const bool has_sign = Value(x).number() < 0 || spec.sign != '-';
    digits.width = *spec.precision + (has_sign ? 1 : 0) + (spec.alternative && spec.type != 'd' ? 2 : 0);
    FormatSpec outer = spec;
    if (spec.zero && spec.align == 0) digits.width = std::max(digits.width, spec.width);
    return padded(execution_, outer, formatted_integer(execution_, digits, x), '>');
  }

  String convert_text(FormatSpec& spec, const Value& value) {
    String text = converted(execution_, spec.type, value);
    if (markup_) text = escaped_unless_markup(value, text);
    spec.type = 's';
    spec.sign = '-';
    spec.zero = false;
    if (spec.align == 0) spec.align = '>';
    return formatted(execution_, spec, std::move(text));
  }

  String convert_character(FormatSpec& spec, const Value& value) {
    if (spec.align == 0) spec.align = '>';
    spec.zero = false;
    if (value.integer()) return formatted_integer(execution_, spec, *value.integer());
    if (value.text() == nullptr || count_characters(*value.text()) != 1) {
      refuse("a character for '%c'", value.kind());
    }
    return padded(execution_, spec, *value.text(), '>');
  }

  Execution& execution_;
  std::string_view rest_;
  bool markup_;
  const Value& values_;
  const Values* many_ = nullptr;
  std::size_t taken_ = 0;
};

// 'format'.format(arguments), field by field.
class BraceFormat {
 public:
  BraceFormat(Execution& execution, bool markup, const Arguments& arguments)
      : execution_(execution), markup_(markup), arguments_(arguments) {}

  // Fields may stand in a field's specification, but not in those.
  String format(std::string_view rest, int depth) {
    if (depth < 0) refuse("fields within fields only once", "more");
    String out;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find_first_of("{}"), rest.size());
      out += rest.substr(0, end);
      rest.remove_prefix(end);
      if (rest.empty()) break;
      if (rest.size() > 1 && rest[0] == rest[1]) {
        out += rest[0];
        rest.remove_prefix(2);
      } else {
        if (rest[0] == '}') refuse("'{' before '}'", "none");
        rest.remove_prefix(1);
        out += field(take_field(rest), depth);
      }
      execution_.check_output(out.size());
    }
    return out;
  }

 private:
  [[noreturn]] void refuse(std::string_view expected, std::string_view found) const {
    execution_.fail("format", expected, found);
  }

  // What stands between the brackets, of which the first has been taken.
  std::string_view take_field(std::string_view& rest) const {
    int open = 1;
    std::size_t end = 0;
    for (; end < rest.size(); ++end) {
      if (rest[end] == '{') ++open;
      if (rest[end] == '}' && --open == 0) break;
    }
    if (end == rest.size()) refuse("'}'", "the format's end");
    const std::string_view field = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    return field;
  }

  String field(std::string_view text, int depth) {
    const std::size_t colon = std::min(text.find(':'), text.size());
    std::string_view name = text.substr(0, colon);
    char conversion = 0;
    if (const std::size_t mark = name.find('!'); mark != std::string_view::npos) {
      if (mark + 2 != name.size() || std::string_view("sra").find(name[mark + 1]) == std::string_view::npos) {
        refuse("!s, !r or !a", shown_text(name));
      }
      conversion = name[mark + 1];
      name = name.substr(0, mark);
    }
    Value value = find(name);
    // Behind the value, as both may take the next argument.
    const String spec = colon < text.size() ? format(text.substr(colon + 1), depth - 1) : "";
    if (conversion != 0) value = execution_.text(converted(execution_, conversion, value));
    if (spec.empty()) {
      const String shown = to_text(execution_, value);
      return markup_ ? escaped_unless_markup(value, shown) : shown;
    }
    const String shown = formatted(execution_, parse_format_spec(execution_, spec), value);
    return markup_ ? escaped_for_html(shown) : shown;
  }

  // 'name', '0' or nothing, and then .attributes and [items].
  Value find(std::string_view path) {
    const std::size_t end = std::min(path.find_first_of(".["), path.size());
    Value value = argument(path.substr(0, end));
    for (path.remove_prefix(end); !path.empty();) {
      const bool item = path[0] == '[';
      const std::size_t stop = std::min(item ? path.find(']') : path.find_first_of(".[", 1), path.size());
      if ((item && stop == path.size()) || stop == 1) refuse("a name or an item", shown_text(path));
      const String part(path.substr(1, stop - 1));
      const bool index = item && part.size() < 10 && part.find_first_not_of("0123456789") == String::npos;
      value = !item   ? attribute_of(execution_, value, part)
              : index ? item_of(execution_, value, static_cast<std::int64_t>(std::stol(std::string(part))))
                      : item_of(execution_, value, part);
      path.remove_prefix(item ? stop + 1 : stop);
    }
    return value;
  }

  Value argument(std::string_view name) {
    std::size_t place = 0;
    if (name.empty()) {
      place = next_++;
    } else if (name.size() < 10 && name.find_first_not_of("0123456789") == std::string_view::npos) {
      place = static_cast<std::size_t>(std::stoul(std::string(name)));
    } else {
      const Value* const named = arguments_.find_named(name);
      if (named == nullptr) refuse(fmt::format("an argument '{}'", shown_text(name)), "none");
      return *named;
    }
    if (place >= arguments_.positional.size()) refuse(fmt::format("{} arguments", place + 1), "fewer");
    return arguments_.positional[place];
  }

  Execution& execution_;
  bool markup_;
  const Arguments& arguments_;
  std::size_t next_ = 0;
};

}  // namespace

Value formatted_by_percent(Execution& execution, const Value& format, const Value& values) {
  return PercentFormat(execution, format, values).format();
}

Value formatted_by_braces(Execution& execution, const Value& format, const Arguments& arguments) {
  String out = BraceFormat(execution, format.is_markup(), arguments).format(*format.text(), 1);
  return execution.text(std::move(out), format.is_markup());
}

}  // namespace llamajit::jinja
