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
    call,         // parts[0](parts[1] …, named …, *more, **more_named)
    filter,       // parts[0]|name(…), with arguments as a call's
    test,         // parts[0] is name(…)
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
  ExpressionPtr more{};  // null where there are none
  ExpressionPtr more_named{};
};

struct Statement;
using Block = std::vector<Statement>;

struct Branch {
  ExpressionPtr condition;  // null: else
  Block body;
};

// What is assigned to: a name, name.attribute of a namespace, or, where it has parts, a tuple of such.
struct Target {
  std::string name{};
  std::string attribute{};
  bool is_tuple = false;
  std::vector<Target> parts{};
};

struct Statement {
  enum class Kind {
    text,          // text
    print,         // expression
    branches,      // branches
    loop,          // for target in expression if condition: body, else other
    set,           // target = expression
    set_block,     // target = body, through the filters of `expression`
    filter_block,  // body through the filters of `expression`
    macro,         // text(names = defaults): body
    with,          // body, whose variables are its own, among them target = expression
    scope,         // the same, that no loop around it can be left from, and without variables
    autoescape,    // body, whose printed values are escaped for HTML where the expression is true
    block,         // body, which sees the template's own variables, and with `flag` those around it
    call_block,    // expression, a macro's call, which prints caller(names): body where it wants
    leave,         // break
    next_round,    // continue
  };
  Kind kind{};
  int line = 0;
  std::string text{};
  Target target{};
  std::vector<std::string> names{};
  bool flag = false;  // of a loop: recursive
  // A macro's body speaks of these, so that they may be given.
  bool has_varargs = false;
  bool has_kwargs = false;
  bool has_caller = false;
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
