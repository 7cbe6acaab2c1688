// Expressions, by precedence from the weakest to the strongest operator.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/jinja/syntax.h"

namespace llamajit::jinja {

class ExpressionParser {
 public:
  // `tokens` ends with Kind::end and lives longer.
  ExpressionParser(const std::vector<Token>& tokens, const std::string& name)
      : tokens_(tokens), name_(name) {}

  const Token& peek() const { return tokens_[at_]; }
  const Token& take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool is(Token::Kind kind) const { return peek().kind == kind; }
  bool is_symbol(std::string_view text) const { return is(Token::Kind::symbol) && peek().text == text; }
  bool is_name(std::string_view text) const { return is(Token::Kind::name) && peek().text == text; }
  bool take_symbol(std::string_view text);
  bool take_name(std::string_view text);
  void require_symbol(std::string_view text);
  void require_name(std::string_view text);
  std::string identifier();
  void require(Token::Kind kind, std::string_view called);
  [[noreturn]] void fail(std::string_view expected) const;

  // With commas, a tuple.
  ExpressionPtr expression_or_tuple();
  ExpressionPtr expression() { return conditional(); }
  // How often this name of a variable has been read, of varargs, kwargs and caller.
  int mentions(std::string_view name) const;
  // Without a conditional at its end, so that the condition of a loop can follow.
  ExpressionPtr operand_of_loop();
  // '|name(…)' behind `of`, as many as there are.
  ExpressionPtr filters(ExpressionPtr of);
  // The same, of which the first has no '|'.
  ExpressionPtr first_filter(ExpressionPtr of) { return filters(filter(std::move(of), false)); }
  // The variable without a name, which {% set x | filter %} hands its block to the filters in.
  ExpressionPtr block_itself() { return make(Expression::Kind::name); }

  // While it lives, one more level of the parser's recursion is taken.
  class Level {
   public:
    explicit Level(ExpressionParser& parser);
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    ~Level() { --parser_.level_; }

   private:
    ExpressionParser& parser_;
  };

 private:
  static std::vector<ExpressionPtr> parts_of(ExpressionPtr a, ExpressionPtr b = nullptr);
  using Rule = ExpressionPtr (ExpressionParser::*)();
  struct Sign {
    std::string_view text;
    Operator op;
  };

  ExpressionPtr make(Expression::Kind kind, std::vector<ExpressionPtr> parts = {}, std::string name = {});
  ExpressionPtr finish(ExpressionPtr made) const;
  ExpressionPtr left_to_right(std::initializer_list<Sign> signs, Rule operand);
  ExpressionPtr conditional();
  ExpressionPtr logical_or();
  ExpressionPtr logical_and();
  ExpressionPtr logical_not();
  ExpressionPtr comparison();
  bool take_comparison(Operator& op);
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary() { return signed_value(true); }
  ExpressionPtr signed_value(bool with_filters);
  ExpressionPtr primary();
  ExpressionPtr number();
  ExpressionPtr parenthesis();
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr postfix(ExpressionPtr of);
  ExpressionPtr subscript(ExpressionPtr of);
  ExpressionPtr filters_and_tests(ExpressionPtr of);
  ExpressionPtr filter(ExpressionPtr of, bool behind_bar = true);
  ExpressionPtr test(ExpressionPtr of);
  void arguments(Expression& call);
  void argument(Expression& call);

  const std::vector<Token>& tokens_;
  const std::string& name_;
  std::size_t at_ = 0;
  int level_ = 0;
  std::map<std::string, int, std::less<>> mentions_ = {{"varargs", 0}, {"kwargs", 0}, {"caller", 0}};
};

}  // namespace llamajit::jinja
