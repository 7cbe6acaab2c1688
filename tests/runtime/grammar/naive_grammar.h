// Grammars as a test makes them up and matches them, independently of runtime/grammar: all lists of what is
// still to come, written out (Antimirov's partial derivatives).
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace llamajit::test {

struct TooAmbiguous {};

struct Expression;
using ExpressionPtr = std::shared_ptr<const Expression>;

struct Expression {
  enum Kind { empty, byte, sequence, choice, star, rule } kind;
  char c = 0;
  ExpressionPtr left{}, right{};
  int number = -1;
};

// Rules r0 (root), r1, … of small texts over "abc".
class NaiveGrammar {
 public:
  explicit NaiveGrammar(std::mt19937& random) : random_(random) {
    const int count = 1 + pick(4);
    for (int i = 0; i < count; ++i) bodies_.push_back(random_expression(3, count));
  }

  std::string gbnf() const {
    std::string text;
    for (std::size_t i = 0; i < bodies_.size(); ++i)
      text += name(static_cast<int>(i)) + " ::= " + written(bodies_[i]) + "\n";
    return text;
  }

  // What may still come: one of these lists, its last element first.
  using List = std::vector<const Expression*>;
  using Rest = std::set<List>;

  Rest begin() const { return {{bodies_[0].get()}}; }
  Rest after(const Rest& rest, char c) const {
    Rest next;
    for (List list : opened(rest)) {
      if (list.empty() || list.back()->c != c) continue;
      list.pop_back();
      next.insert(list);
    }
    if (next.size() > 200) throw TooAmbiguous();
    return next;
  }
  // Empty where nothing of the language begins so.
  Rest after(Rest rest, std::string_view text) const {
    for (const char c : text) rest = after(rest, c);
    return rest;
  }
  bool may_end(const Rest& rest) const { return opened(rest).contains(List{}); }

 private:
  static ExpressionPtr make(Expression e) { return std::make_shared<const Expression>(std::move(e)); }
  // The lists that begin with a byte, or are empty.
  Rest opened(const Rest& rest) const {
    Rest seen = rest;
    std::vector<List> open(rest.begin(), rest.end());
    Rest found;
    while (!open.empty()) {
      List list = open.back();
      open.pop_back();
      if (list.empty() || list.back()->kind == Expression::byte) {
        found.insert(list);
        continue;
      }
      const Expression* const e = list.back();
      list.pop_back();
      const auto go_on = [&](std::initializer_list<const Expression*> with) {
        List next = list;
        next.insert(next.end(), with);
        if (seen.insert(next).second) open.push_back(next);
      };
      const Expression* const left = e->left.get();
      const Expression* const right = e->right.get();
      if (e->kind == Expression::empty || e->kind == Expression::star) go_on({});
      if (e->kind == Expression::star) go_on({e, left});
      if (e->kind == Expression::sequence) go_on({right, left});
      if (e->kind == Expression::choice) go_on({left});
      if (e->kind == Expression::choice) go_on({right});
      if (e->kind == Expression::rule) go_on({bodies_[static_cast<std::size_t>(e->number)].get()});
    }
    return found;
  }

  int pick(int count) { return std::uniform_int_distribution<int>(0, count - 1)(random_); }

  ExpressionPtr random_expression(int depth, int rules) {
    const int kind = depth == 0 ? pick(3) : pick(9);
    const auto inner = [&] { return random_expression(depth - 1, rules); };
    switch (kind) {
      case 0:
      case 1:
        return make({Expression::byte, static_cast<char>('a' + pick(3))});
      case 2:
        return make({Expression::rule, 0, nullptr, nullptr, pick(rules)});
      case 3:
        return make({Expression::star, 0, inner()});
      case 4:
        return make({Expression::choice, 0, inner(), pick(3) == 0 ? make({Expression::empty}) : inner()});
      case 5:
      case 6: {
        const ExpressionPtr left = inner();
        return make({Expression::choice, 0, left, inner()});
      }
      default: {
        const ExpressionPtr left = inner();
        return make({Expression::sequence, 0, left, inner()});
      }
    }
  }

  static std::string name(int rule) { return rule == 0 ? "root" : "r" + std::to_string(rule); }
  std::string written(const ExpressionPtr& e) const {
    switch (e->kind) {
      case Expression::empty:
        return "\"\"";
      case Expression::byte:
        return std::string("\"") + e->c + "\"";
      case Expression::sequence:
        return "(" + written(e->left) + " " + written(e->right) + ")";
      case Expression::choice:
        return "(" + written(e->left) + " | " + written(e->right) + ")";
      case Expression::star:
        return "(" + written(e->left) + ")*";
      case Expression::rule:
        return name(e->number);
    }
    return "";
  }

  std::mt19937& random_;
  std::vector<ExpressionPtr> bodies_;
};

}  // namespace llamajit::test
