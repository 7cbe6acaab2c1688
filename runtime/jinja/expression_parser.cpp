#include "runtime/jinja/expression_parser.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>

#include <fmt/format.h>

#include "tokenizer/utf8.h"

namespace llamajit::jinja {
namespace {

constexpr int kMaxLevel = 50;   // brackets and blocks within each other
constexpr int kMaxDepth = 200;  // of a tree, which a row of operators makes deep, too

// Messages call the token so.
std::string shown(const Token& token) {
  switch (token.kind) {
    case Token::Kind::end:
      return "the template's end";
    case Token::Kind::text:
      return "text";
    case Token::Kind::print_begin:
      return "'{{'";
    case Token::Kind::print_end:
      return "'}}'";
    case Token::Kind::block_begin:
      return "'{%'";
    case Token::Kind::block_end:
      return "'%}'";
    default:
      return fmt::format("'{}'", escaped(token.text.substr(0, 40)));
  }
}

}  // namespace

void ExpressionParser::fail(std::string_view expected) const {
  throw std::runtime_error(
      fmt::format("{}: line {}: expected {}, found {}", name_, peek().line, expected, shown(peek())));
}

ExpressionParser::Level::Level(ExpressionParser& parser) : parser_(parser) {
  if (++parser_.level_ <= kMaxLevel) return;
  throw std::runtime_error(
      fmt::format("{}: line {}: expected at most {} brackets or blocks within each other, found more",
                  parser_.name_, parser_.peek().line, kMaxLevel));
}

bool ExpressionParser::take_symbol(std::string_view text) {
  if (!is_symbol(text)) return false;
  take();
  return true;
}

bool ExpressionParser::take_name(std::string_view text) {
  if (!is_name(text)) return false;
  take();
  return true;
}

void ExpressionParser::require_symbol(std::string_view text) {
  if (!take_symbol(text)) fail(fmt::format("'{}'", text));
}

void ExpressionParser::require_name(std::string_view text) {
  if (!take_name(text)) fail(fmt::format("'{}'", text));
}

int ExpressionParser::mentions(std::string_view name) const {
  return mentions_.find(name)->second;
}

std::string ExpressionParser::identifier() {
  if (!is(Token::Kind::name)) fail("a name");
  return take().text;
}

void ExpressionParser::require(Token::Kind kind, std::string_view called) {
  if (!is(kind)) fail(called);
  take();
}

ExpressionPtr ExpressionParser::make(Expression::Kind kind, std::vector<ExpressionPtr> parts,
                                     std::string name) {
  auto made = std::make_unique<Expression>();
  made->kind = kind;
  made->line = peek().line;
  made->name = std::move(name);
  made->parts = std::move(parts);
  return finish(std::move(made));
}

// Once all parts are there.
ExpressionPtr ExpressionParser::finish(ExpressionPtr made) const {
  const auto count = [&](const ExpressionPtr& part) {
    if (part) made->depth = std::max(made->depth, part->depth + 1);
  };
  std::ranges::for_each(made->parts, count);
  for (const auto& [name, part] : made->named) count(part);
  count(made->more);
  count(made->more_named);
  if (made->depth > kMaxDepth) fail(fmt::format("an expression of at most {} operators in a row", kMaxDepth));
  return made;
}

std::vector<ExpressionPtr> ExpressionParser::parts_of(ExpressionPtr a, ExpressionPtr b) {
  std::vector<ExpressionPtr> parts;
  parts.push_back(std::move(a));
  if (b) parts.push_back(std::move(b));
  return parts;
}

ExpressionPtr ExpressionParser::expression_or_tuple() {
  ExpressionPtr first = expression();
  if (!is_symbol(",")) return first;
  std::vector<ExpressionPtr> items = parts_of(std::move(first));
  while (take_symbol(",")) {
    if (is(Token::Kind::block_end) || is(Token::Kind::print_end) || is_symbol(")")) break;
    items.push_back(expression());
  }
  return make(Expression::Kind::tuple, std::move(items));
}

ExpressionPtr ExpressionParser::operand_of_loop() {
  ExpressionPtr first = logical_or();
  if (!is_symbol(",")) return first;
  std::vector<ExpressionPtr> items = parts_of(std::move(first));
  while (take_symbol(",")) items.push_back(logical_or());
  return make(Expression::Kind::tuple, std::move(items));
}

ExpressionPtr ExpressionParser::conditional() {
  const Level level(*this);
  ExpressionPtr value = logical_or();
  while (take_name("if")) {
    std::vector<ExpressionPtr> parts = parts_of(std::move(value), logical_or());
    parts.push_back(take_name("else") ? conditional() : nullptr);
    value = make(Expression::Kind::conditional, std::move(parts));
  }
  return value;
}

ExpressionPtr ExpressionParser::left_to_right(std::initializer_list<Sign> signs, Rule operand) {
  ExpressionPtr left = (this->*operand)();
  for (;;) {
    const auto* const sign = std::ranges::find_if(signs, [&](const Sign& s) {
      return (is(Token::Kind::symbol) || is(Token::Kind::name)) && peek().text == s.text;
    });
    if (sign == signs.end()) return left;
    take();
    left = make(Expression::Kind::binary, parts_of(std::move(left), (this->*operand)()));
    left->operators = {sign->op};
  }
}

ExpressionPtr ExpressionParser::logical_or() {
  return left_to_right({{"or", Operator::logical_or}}, &ExpressionParser::logical_and);
}

ExpressionPtr ExpressionParser::logical_and() {
  return left_to_right({{"and", Operator::logical_and}}, &ExpressionParser::logical_not);
}

ExpressionPtr ExpressionParser::logical_not() {
  if (!take_name("not")) return comparison();
  const Level level(*this);
  ExpressionPtr negation = make(Expression::Kind::unary, parts_of(logical_not()));
  negation->operators = {Operator::logical_not};
  return negation;
}

bool ExpressionParser::take_comparison(Operator& op) {
  constexpr std::array<std::pair<std::string_view, Operator>, 6> kSigns = {{{"==", Operator::equal},
                                                                            {"!=", Operator::unequal},
                                                                            {"<", Operator::less},
                                                                            {"<=", Operator::less_equal},
                                                                            {">", Operator::greater},
                                                                            {">=", Operator::greater_equal}}};
  for (const auto& [text, meaning] : kSigns) {
    op = meaning;
    if (take_symbol(text)) return true;
  }
  op = Operator::within;
  if (take_name("in")) return true;
  op = Operator::not_within;
  if (!is_name("not") || tokens_[at_ + 1].kind != Token::Kind::name || tokens_[at_ + 1].text != "in")
    return false;
  take();
  take();
  return true;
}

ExpressionPtr ExpressionParser::comparison() {
  ExpressionPtr first = sum();
  Operator op{};
  if (!take_comparison(op)) return first;
  ExpressionPtr made = make(Expression::Kind::comparison, parts_of(std::move(first)));
  do {
    made->operators.push_back(op);
    made->parts.push_back(sum());
  } while (take_comparison(op));
  return finish(std::move(made));
}

ExpressionPtr ExpressionParser::sum() {
  return left_to_right({{"+", Operator::add}, {"-", Operator::subtract}}, &ExpressionParser::concatenation);
}

ExpressionPtr ExpressionParser::concatenation() {
  return left_to_right({{"~", Operator::concatenate}}, &ExpressionParser::product);
}

ExpressionPtr ExpressionParser::product() {
  return left_to_right({{"*", Operator::multiply},
                        {"/", Operator::divide},
                        {"//", Operator::divide_whole},
                        {"%", Operator::remainder}},
                       &ExpressionParser::power);
}

ExpressionPtr ExpressionParser::power() {
  return left_to_right({{"**", Operator::power}}, &ExpressionParser::unary);
}

ExpressionPtr ExpressionParser::signed_value(bool with_filters) {
  const Level level(*this);
  ExpressionPtr value;
  if (is_symbol("-") || is_symbol("+")) {
    const Operator op = take().text == "-" ? Operator::minus : Operator::plus;
    value = make(Expression::Kind::unary, parts_of(signed_value(false)));
    value->operators = {op};
  } else {
    value = postfix(primary());
  }
  return with_filters ? filters_and_tests(std::move(value)) : std::move(value);
}

ExpressionPtr ExpressionParser::primary() {
  const Level level(*this);
  ExpressionPtr made = make(Expression::Kind::constant);
  if (is(Token::Kind::string)) {
    std::string text;
    while (is(Token::Kind::string)) text += take().text;  // side by side, as in Python
    made->value = Value(text);
    return made;
  }
  if (is(Token::Kind::integer) || is(Token::Kind::number)) return number();
  if (is_symbol("(")) return parenthesis();
  if (is_symbol("[")) return list();
  if (is_symbol("{")) return dict();
  if (!is(Token::Kind::name)) fail("a value");
  const std::string name = take().text;
  if (name == "true" || name == "True" || name == "false" || name == "False") {
    made->value = Value(name == "true" || name == "True");
  } else if (name == "none" || name == "None") {
    made->value = Value(None{});
  } else {
    made->kind = Expression::Kind::name;
    made->name = name;
    if (const auto found = mentions_.find(name); found != mentions_.end()) ++found->second;
  }
  return made;
}

ExpressionPtr ExpressionParser::number() {
  ExpressionPtr made = make(Expression::Kind::constant);
  const std::string& text = peek().text;
  if (is(Token::Kind::number)) {
    made->value = Value(std::strtod(text.c_str(), nullptr));
  } else {
    const char letter = text.size() > 2 ? text[1] : '0';
    const int base = letter == 'x' || letter == 'X'   ? 16
                     : letter == 'o' || letter == 'O' ? 8
                     : letter == 'b' || letter == 'B' ? 2
                                                      : 10;
    std::int64_t integer = 0;
    const char* const digits = text.data() + (base == 10 ? 0 : 2);
    const auto [end, error] = std::from_chars(digits, text.data() + text.size(), integer, base);
    if (error != std::errc() && base != 10) fail("an integer of 64 bits");
    made->value = base == 10 ? integer_of(text) : Value(integer);
  }
  take();
  return made;
}

ExpressionPtr ExpressionParser::parenthesis() {
  require_symbol("(");
  if (take_symbol(")")) return make(Expression::Kind::tuple);
  ExpressionPtr inner = expression_or_tuple();
  require_symbol(")");
  return inner;
}

ExpressionPtr ExpressionParser::list() {
  require_symbol("[");
  std::vector<ExpressionPtr> items;
  while (!is_symbol("]")) {
    items.push_back(expression());
    if (!take_symbol(",")) break;
  }
  require_symbol("]");
  return make(Expression::Kind::list, std::move(items));
}

ExpressionPtr ExpressionParser::dict() {
  require_symbol("{");
  std::vector<ExpressionPtr> parts;
  while (!is_symbol("}")) {
    parts.push_back(expression());
    require_symbol(":");
    parts.push_back(expression());
    if (!take_symbol(",")) break;
  }
  require_symbol("}");
  return make(Expression::Kind::dict, std::move(parts));
}

}  // namespace llamajit::jinja
