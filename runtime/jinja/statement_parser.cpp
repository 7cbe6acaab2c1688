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
    if (p_.take_name("filter")) return filter_block();
    if (p_.take_name("with")) return with();
    if (p_.take_name("autoescape")) return autoescape();
    if (p_.take_name("block")) return block();
    if (p_.is_name("break") || p_.is_name("continue")) return jump();
    p_.fail(
        "if, for, set, macro, call, filter, with, autoescape, block, generation, raw, break or continue "
        "(templates here can do nothing else)");
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

  // A name, or brackets around targets.
  Target single_target() {
    const ExpressionParser::Level level(p_);
    if (!p_.take_symbol("(")) return {p_.identifier()};
    Target inner = p_.is_symbol(")") ? Target{.is_tuple = true} : target();
    p_.require_symbol(")");
    return inner;
  }

  // With commas, a tuple.
  Target target() {
    Target first = single_target();
    if (!p_.is_symbol(",")) return first;
    Target tuple{.is_tuple = true};
    tuple.parts.push_back(std::move(first));
    while (p_.take_symbol(",")) {
      if (p_.is_symbol(")") || p_.is_name("in") || p_.is(Token::Kind::block_end)) break;
      tuple.parts.push_back(single_target());
    }
    return tuple;
  }

  Statement loop() {
    Statement statement = made(Statement::Kind::loop);
    statement.target = target();
    p_.require_name("in");
    statement.expression = p_.operand_of_loop();
    if (p_.take_name("if")) statement.condition = p_.expression();
    statement.flag = p_.take_name("recursive");
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
    statement.target = target();
    if (!statement.target.is_tuple && p_.take_symbol(".")) statement.target.attribute = p_.identifier();
    if (p_.take_symbol("=")) {
      statement.expression = p_.expression_or_tuple();
      end_of_block();
      return statement;
    }
    if (statement.target.is_tuple) p_.fail("'='");
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

  Statement filter_block() {
    Statement statement = made(Statement::Kind::filter_block);
    statement.expression = p_.first_filter(p_.block_itself());
    end_of_block();
    statement.body = body({"endfilter"});
    close("endfilter");
    return statement;
  }

  // The values are those from outside, also where an earlier one has the same name.
  Statement with() {
    Statement statement = made(Statement::Kind::with);
    statement.target.is_tuple = true;
    while (!p_.is(Token::Kind::block_end)) {
      if (!statement.target.parts.empty()) p_.require_symbol(",");
      statement.target.parts.push_back(single_target());
      p_.require_symbol("=");
      statement.defaults.push_back(p_.expression());
    }
    end_of_block();
    statement.body = body({"endwith"});
    close("endwith");
    return statement;
  }

  Statement autoescape() {
    Statement statement = made(Statement::Kind::autoescape);
    statement.expression = p_.expression();
    end_of_block();
    statement.body = body({"endautoescape"});
    close("endautoescape");
    return statement;
  }

  // Nothing inherits from a template here, so that a block is what stands in it.
  Statement block() {
    Statement statement = made(Statement::Kind::block);
    const std::string name = p_.identifier();
    statement.flag = p_.take_name("scoped");
    if (p_.take_name("required")) p_.fail("a block with a body, which is all that a template alone can have");
    end_of_block();
    const int loops = std::exchange(loops_, 0);
    statement.body = body({"endblock"});
    loops_ = loops;
    p_.require_name("endblock");
    p_.take_name(name);
    end_of_block();
    return statement;
  }

  void parameters(Statement& statement) {
    p_.require_symbol("(");
    while (!p_.is_symbol(")")) {
      statement.names.push_back(p_.identifier());
      const bool has_default = p_.take_symbol("=");
      if (!has_default && !statement.defaults.empty() && statement.defaults.back()) {
        p_.fail("a default value, as the parameter before has one");
      }
      statement.defaults.push_back(has_default ? p_.expression() : nullptr);
      if (!p_.take_symbol(",")) break;
    }
    p_.require_symbol(")");
  }

  // A body that no loop around it can be left from.
  void body_apart(Statement& statement, std::string_view end) {
    const int varargs = p_.mentions("varargs");
    const int kwargs = p_.mentions("kwargs");
    const int caller = p_.mentions("caller");
    const int loops = std::exchange(loops_, 0);
    statement.body = body({end});
    loops_ = loops;
    statement.has_varargs = p_.mentions("varargs") > varargs;
    statement.has_kwargs = p_.mentions("kwargs") > kwargs;
    statement.has_caller = p_.mentions("caller") > caller;
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
