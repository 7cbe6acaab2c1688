#include <algorithm>
#include <initializer_list>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/jinja/expression_parser.h"
#include "runtime/jinja/syntax.h"
#include "tokenizer/utf8.h"

namespace llamajit::jinja {
namespace {

class StatementParser {
 public:
  StatementParser(const std::vector<Token>& tokens, const std::string& name) : p_(tokens, name) {}

  Block parse() {
    Block block = body({});
    if (!p_.is(Token::Kind::end)) p_.fail("the template's end");
    return block;
  }

 private:
  using Names = std::initializer_list<std::string_view>;

  // Statements up to a block of one of these names, whose name is the next token then; without names up to
  // the template's end.
  Block body(Names ends) {
    const ExpressionParser::Level level(p_);
    Block block;
    for (;;) {
      const Token& token = p_.peek();
      switch (token.kind) {
        case Token::Kind::end:
          if (ends.size() > 0) p_.fail(fmt::format("{{% {} %}}", fmt::join(ends, " %} or {% ")));
          return block;
        case Token::Kind::text:
          block.push_back(made(Statement::Kind::text));
          block.back().text = p_.take().text;
          break;
        case Token::Kind::print_begin:
          block.push_back(made(Statement::Kind::print));
          p_.take();
          block.back().expression = p_.expression_or_tuple();
          p_.require(Token::Kind::print_end, "'}}'");
          break;
        default:
          p_.take();
          if (std::ranges::any_of(ends, [&](std::string_view end) { return p_.is_name(end); })) return block;
          block.push_back(statement());
      }
    }
  }

  Statement made(Statement::Kind kind) const {
    Statement statement;
    statement.kind = kind;
    statement.line = p_.peek().line;
    return statement;
  }

  void end_of_block() { p_.require(Token::Kind::block_end, "'%}'"); }

  // The end of a statement with a body: 'endfor %}'.
  void close(std::string_view name) {
    p_.require_name(name);
    end_of_block();
  }

  Statement statement() {
    if (p_.take_name("if")) return branches();
    if (p_.take_name("for")) return loop();
    if (p_.take_name("set")) return set();
    if (p_.take_name("macro")) return macro();
    if (p_.take_name("generation")) return generation();
    if (p_.take_name("call")) return call_block();
    if (p_.is_name("break") || p_.is_name("continue")) return jump();
    p_.fail("if, for, set, macro, call, generation, break or continue (templates here can do nothing else)");
  }

  Statement branches() {
    Statement statement = made(Statement::Kind::branches);
    do {
      ExpressionPtr condition = p_.expression_or_tuple();
      end_of_block();
      statement.branches.push_back({std::move(condition), body({"elif", "else", "endif"})});
    } while (p_.take_name("elif"));
    if (p_.take_name("else")) {
      end_of_block();
      statement.branches.push_back({nullptr, body({"endif"})});
    }
    close("endif");
    return statement;
  }

  std::vector<std::string> targets() {
    const bool brackets = p_.take_symbol("(");
    std::vector<std::string> names;
    do names.push_back(p_.identifier());
    while (p_.take_symbol(","));
    if (brackets) p_.require_symbol(")");
    return names;
  }

  Statement loop() {
    Statement statement = made(Statement::Kind::loop);
    statement.names = targets();
    p_.require_name("in");
    statement.expression = p_.operand_of_loop();
    if (p_.take_name("if")) statement.condition = p_.expression();
    end_of_block();
    ++loops_;
    statement.body = body({"else", "endfor"});
    --loops_;
    if (p_.take_name("else")) {
      end_of_block();
      statement.other = body({"endfor"});
    }
    close("endfor");
    return statement;
  }

  Statement set() {
    Statement statement = made(Statement::Kind::set);
    statement.names = targets();
    if (statement.names.size() == 1 && p_.take_symbol(".")) statement.attribute = p_.identifier();
    if (p_.take_symbol("=")) {
      statement.expression = p_.expression_or_tuple();
      end_of_block();
      return statement;
    }
    if (statement.names.size() > 1) p_.fail("'='");
    statement.kind = Statement::Kind::set_block;
    if (p_.is_symbol("|")) statement.expression = p_.filters(p_.block_itself());
    end_of_block();
    statement.body = body({"endset"});
    close("endset");
    return statement;
  }

  Statement macro() {
    Statement statement = made(Statement::Kind::macro);
    statement.text = p_.identifier();
    parameters(statement);
    end_of_block();
    body_apart(statement, "endmacro");
    return statement;
  }

  void parameters(Statement& statement) {
    p_.require_symbol("(");
    while (!p_.is_symbol(")")) {
      statement.names.push_back(p_.identifier());
      statement.defaults.push_back(p_.take_symbol("=") ? p_.expression() : nullptr);
      if (!p_.take_symbol(",")) break;
    }
    p_.require_symbol(")");
  }

  // A body that no loop around it can be left from.
  void body_apart(Statement& statement, std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    statement.body = body({end});
    loops_ = loops;
    close(end);
  }

  Statement call_block() {
    Statement statement = made(Statement::Kind::call_block);
    if (p_.is_symbol("(")) parameters(statement);
    statement.expression = p_.expression();
    if (statement.expression->kind != Expression::Kind::call) p_.fail("a call of a macro");
    end_of_block();
    body_apart(statement, "endcall");
    return statement;
  }

  // A `generation` block marks the model's own words for training; here only its body matters.
  Statement generation() {
    Statement statement = made(Statement::Kind::scope);
    end_of_block();
    body_apart(statement, "endgeneration");
    return statement;
  }

  Statement jump() {
    if (loops_ == 0) p_.fail("break and continue within loops only");
    Statement statement = made(p_.is_name("break") ? Statement::Kind::leave : Statement::Kind::next_round);
    p_.take();
    end_of_block();
    return statement;
  }

  ExpressionParser p_;
  int loops_ = 0;
};

}  // namespace

Block parse_template(std::string_view source, const std::string& name) {
  const std::vector<Token> tokens = tokenize_template(source, name);
  return StatementParser(tokens, name).parse();
}

}  // namespace llamajit::jinja
