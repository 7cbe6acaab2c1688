// A template as a tree.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/jinja/lexer.h"
#include "runtime/jinja/value.h"

namespace llamajit::jinja {

enum class Operator {
  logical_or,
  logical_and,
  logical_not,
  minus,  // of one operand
  plus,
  add,
  subtract,
  multiply,
  divide,
  divide_whole,
  remainder,
  power,
  concatenate,
  equal,
  unequal,
  less,
  less_equal,
  greater,
  greater_equal,
  within,
  not_within,
};

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Expression {
  enum class Kind {
    constant,     // value
    name,         // name
    list,         // parts
    tuple,        // parts
    dict,         // parts: key, value, key, value …
    attribute,    // parts[0].name
    item,         // parts[0][parts[1]]
    slice,        // parts[0][parts[1]:parts[2]:parts[3]], of which each but the first may be null
    call,         // parts[0](parts[1] …, named …)
    filter,       // parts[0]|name(parts[1] …, named …)
    test,         // parts[0] is name(parts[1] …)
    unary,        // operators[0] parts[0]
    binary,       // parts[0] operators[0] parts[1]
    comparison,   // parts[0] operators[0] parts[1] operators[1] parts[2] …
    conditional,  // parts[0] if parts[1] else parts[2], which may be null
  };
  Kind kind{};
  int line = 0;
  int depth = 1;  // of the tree
  std::string name{};
  Value value{};
  std::vector<Operator> operators{};
  std::vector<ExpressionPtr> parts{};
  std::vector<std::pair<std::string, ExpressionPtr>> named{};
};

struct Statement;
using Block = std::vector<Statement>;

struct Branch {
  ExpressionPtr condition;  // null: else
  Block body;
};

struct Statement {
  enum class Kind {
    text,        // text
    print,       // expression
    branches,    // branches
    loop,        // for names in expression if condition: body, else other
    set,         // names = expression, or name.attribute = expression
    set_block,   // names[0] = body, through the filters of `expression`
    macro,       // text(names = defaults): body
    scope,       // body, whose variables are its own
    call_block,  // expression, a macro's call, which prints caller(names): body where it wants
    leave,       // break
    next_round,  // continue
  };
  Kind kind{};
  int line = 0;
  std::string text{};
  std::string attribute{};
  std::vector<std::string> names{};
  ExpressionPtr expression{};
  ExpressionPtr condition{};
  std::vector<ExpressionPtr> defaults{};  // one for each name, null where there is none
  std::vector<Branch> branches{};
  Block body{};
  Block other{};
};

// Throws std::runtime_error that names template, line, what was expected and what was found.
Block parse_template(std::string_view source, const std::string& name);

}  // namespace llamajit::jinja
