// ExpressionParser: what stands behind a value, .name, [item], (arguments), |filter and is test.
#include <algorithm>
#include <array>
#include <string_view>

#include "runtime/jinja/expression_parser.h"

namespace llamajit::jinja {

ExpressionPtr ExpressionParser::postfix(ExpressionPtr of) {
  for (;;) {
    if (take_symbol(".")) {
      if (is(Token::Kind::integer)) {
        ExpressionPtr index = number();
        of = make(Expression::Kind::item, parts_of(std::move(of), std::move(index)));
      } else {
        std::string attribute = identifier();
        of = make(Expression::Kind::attribute, parts_of(std::move(of)), std::move(attribute));
      }
    } else if (is_symbol("[")) {
      of = subscript(std::move(of));
    } else if (is_symbol("(")) {
      of = make(Expression::Kind::call, parts_of(std::move(of)));
      arguments(*of);
      of = finish(std::move(of));
    } else {
      return of;
    }
  }
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr of) {
  require_symbol("[");
  std::vector<ExpressionPtr> parts = parts_of(std::move(of));
  bool slice = false;
  parts.push_back(is_symbol(":") ? nullptr : expression());
  while (parts.size() < 4 && take_symbol(":")) {
    slice = true;
    parts.push_back(is_symbol(":") || is_symbol("]") ? nullptr : expression());
  }
  require_symbol("]");
  if (slice) parts.resize(4);
  return make(slice ? Expression::Kind::slice : Expression::Kind::item, std::move(parts));
}

ExpressionPtr ExpressionParser::filters_and_tests(ExpressionPtr of) {
  for (;;) {
    if (is_symbol("|")) {
      of = filter(std::move(of));
    } else if (is_name("is")) {
      of = test(std::move(of));
    } else if (is_symbol("(") || is_symbol(".") || is_symbol("[")) {
      of = postfix(std::move(of));
    } else {
      return of;
    }
  }
}

ExpressionPtr ExpressionParser::filters(ExpressionPtr of) {
  while (is_symbol("|")) of = filter(std::move(of));
  return of;
}

ExpressionPtr ExpressionParser::filter(ExpressionPtr of, bool behind_bar) {
  if (behind_bar) require_symbol("|");
  std::string name = identifier();
  ExpressionPtr made = make(Expression::Kind::filter, parts_of(std::move(of)), std::move(name));
  if (is_symbol("(")) arguments(*made);
  return finish(std::move(made));
}

namespace {

// A value that begins with this token may be a test's argument without brackets.
bool begins_argument(const Token& token) {
  if (token.kind == Token::Kind::name) {
    return std::ranges::count(std::array<std::string_view, 5>{"else", "or", "and", "if", "is"}, token.text) ==
           0;
  }
  return token.kind == Token::Kind::string || token.kind == Token::Kind::integer ||
         token.kind == Token::Kind::number ||
         (token.kind == Token::Kind::symbol && (token.text == "[" || token.text == "{"));
}

}  // namespace

ExpressionPtr ExpressionParser::test(ExpressionPtr of) {
  require_name("is");
  const bool negated = take_name("not");
  std::string name = identifier();
  ExpressionPtr made = make(Expression::Kind::test, parts_of(std::move(of)), std::move(name));
  if (is_symbol("(")) {
    arguments(*made);
  } else if (begins_argument(peek())) {
    made->parts.push_back(postfix(primary()));
  }
  made = finish(std::move(made));
  if (!negated) return made;
  ExpressionPtr negation = make(Expression::Kind::unary, parts_of(std::move(made)));
  negation->operators = {Operator::logical_not};
  return negation;
}

void ExpressionParser::arguments(Expression& call) {
  require_symbol("(");
  while (!is_symbol(")")) {
    argument(call);
    if (!take_symbol(",")) break;
  }
  require_symbol(")");
}

void ExpressionParser::argument(Expression& call) {
  const Token& following = tokens_[std::min(at_ + 1, tokens_.size() - 1)];
  if (call.more_named) fail("')', as nothing follows '**'");
  if (take_symbol("**")) {
    call.more_named = expression();
  } else if (is(Token::Kind::name) && following.kind == Token::Kind::symbol && following.text == "=") {
    std::string name = take().text;
    take();
    call.named.emplace_back(std::move(name), expression());
  } else if (call.more) {
    fail("an argument with a name, as '*' stands before it");
  } else if (take_symbol("*")) {
    call.more = expression();
  } else {
    if (!call.named.empty()) fail("an argument with a name, as those before it");
    call.parts.push_back(expression());
  }
}

}  // namespace llamajit::jinja
