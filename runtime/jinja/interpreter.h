// Walks a template's tree.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/jinja/execution.h"
#include "runtime/jinja/scope.h"
#include "runtime/jinja/syntax.h"

namespace llamajit::jinja {

class Interpreter {
 public:
  Interpreter(Execution& execution, const Dict& globals) : execution_(execution), globals_(globals) {}

  String render(const Block& block);

 private:
  enum class Flow { normal, leave, next_round };
  // What the autoescape around a place in the template asks for. A macro keeps that of where it stands.
  struct Escaping {
    bool prints = false;     // values are escaped for HTML where they are printed,
    bool joins = false;      // and beside markup in a ~ b,
    bool volatile_ = false;  // which Jinja leaves out where it can't tell before the template runs
  };

  Value evaluate(const Expression& e);
  Value evaluate_in_place(const Expression& e);
  Value name(std::string_view name) const;
  Values evaluate_all(const Expression& e, std::size_t from);
  Value dict(const Expression& e);
  Value slice(const Expression& e);
  Arguments arguments(const Expression& e);
  Value call(const Expression& e, const Value& caller = {});
  Value unary(const Expression& e);
  Value binary(const Expression& e);
  bool comparison(const Expression& e);
  Value conditional(const Expression& e);

  Flow run(const Block& block);
  Flow run(const Statement& s);
  Flow branches(const Statement& s);
  Flow loop(const Statement& s, const Value& over, int depth);
  Values loop_items(const Statement& s, const Value& over);
  Value loop_again(const Statement& s, const Arguments& arguments, int depth, const Scopes& seen);
  Flow with(const Statement& s);
  Flow autoescape(const Statement& s);
  Flow set_block(const Statement& s);
  Flow filter_block(const Statement& s);
  Value filtered(const Statement& s, String rendered);
  void block(const Statement& s);
  void define_macro(const Statement& s);
  Value call_macro(const Statement& s, const Arguments& arguments, Escaping escaping, Scopes seen = {});
  void set_parameters(const Statement& s, const Arguments& arguments);
  void set_further_arguments(const Statement& s, const Arguments& arguments);
  void call_with_block(const Statement& s);
  std::pair<String, Flow> render_apart(const Block& block, Scope scope);

  Scopes copied(const Scopes& scopes);
  Scope& innermost() { return inner_.empty() ? outer_ : inner_.back(); }
  void set(std::string_view name, Value value) { innermost().set(name, std::move(value)); }
  void assign(const Target& target, const Value& value);
  void print(std::string_view text);
  void print_value(const Value& value);

  Execution& execution_;
  const Dict& globals_;
  Scope outer_;   // the template's own variables
  Scopes inner_;  // of loops, macros and blocks, the innermost last
  Escaping escaping_;
  String out_;
};

}  // namespace llamajit::jinja
