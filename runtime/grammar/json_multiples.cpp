#include "runtime/grammar/json_multiples.h"

#include <map>
#include <string_view>

namespace llamajit {
namespace {

constexpr std::string_view kRemainders = "remainders of multiples";

class Multiples {
 public:
  Multiples(const Decimal& of, CompileWork& work)
      : divisor_(static_cast<int>(of.digits)),
        places_(of.exponent < 0 ? -of.exponent : 0),
        zeros_(of.exponent > 0 ? of.exponent : 0),
        work_(work) {}

  // Behind the first node, which begins, nodes are rows of one for each remainder: the whole part's, and where there may be
  // places behind the point, those of so many of them.
  RuleAutomaton run() {
    const int rows = places_ > 0 ? places_ + 2 : 1;
    nodes_.resize(static_cast<std::size_t>(at(rows, 0)));
    work_.hold(nodes_.size() * sizeof(RuleNode), kRemainders);
    add(0, '-', 0);
    node(0).jumps.push_back(at(0, 0));
    for (int row = 0; row < rows; ++row) {
      const bool is_last = places_ > 0 && row == rows - 1;
      for (int left = 0; left < divisor_; ++left) add_digits(row, left, is_last);
    }
    places_ > 0 ? add_ends(rows) : add_whole_end();
    return std::move(nodes_);
  }

 private:
  int at(int row, int left) const { return 1 + row * divisor_ + left; }
  RuleNode& node(int n) { return nodes_[static_cast<std::size_t>(n)]; }

  void add(int from, char byte, int to) {
    work_.charge(4, kRemainders);
    work_.hold(sizeof(std::pair<ByteSet, int>), kRemainders);
    node(from).bytes.emplace_back(ByteSet().set(static_cast<unsigned char>(byte)), to);
  }

  // The last row's digits are all there is room for, but for zeros.
  void add_digits(int row, int left, bool is_last) {
    const int from = at(row, left);
    if (is_last) return add(from, '0', from);
    const int next_row = row == 0 ? 0 : row + 1;
    std::map<int, ByteSet> by_target;
    for (int digit = 0; digit <= 9; ++digit)
      by_target[(left * 10 + digit) % divisor_].set(static_cast<std::size_t>('0' + digit));
    work_.charge(16 + 4 * by_target.size(), kRemainders);
    work_.hold(by_target.size() * sizeof(node(from).bytes[0]), kRemainders);
    for (const auto& [remainder, digits] : by_target)
      node(from).bytes.emplace_back(digits, at(next_row, remainder));
    if (row == 0 && places_ > 0) add(from, '.', at(1, left));
  }

  // A number may end where zeros in the places that it hasn't would leave nothing over.
  void add_ends(int rows) {
    for (int row = 0; row < rows; ++row) {
      const int missing = row == 0 ? places_ : rows - 1 - row;
      for (int left = 0; left < divisor_; ++left) {
        int remainder = left;
        for (int i = 0; i < missing; ++i) remainder = remainder * 10 % divisor_;
        node(at(row, left)).ends = remainder == 0;
      }
    }
  }

  // Behind a multiple of the digits, the zeros; or 0 alone. A point with zeros may follow.
  void add_whole_end() {
    const auto new_node = [&] {
      nodes_.emplace_back();
      work_.hold(sizeof(RuleNode), kRemainders);
      return static_cast<int>(nodes_.size()) - 1;
    };
    int end = at(0, 0);
    for (int i = 0; i < zeros_; ++i) {
      const int next = new_node();
      add(end, '0', next);
      end = next;
    }
    const int behind_point = new_node(), alone = new_node();
    add(end, '.', behind_point);
    add(behind_point, '0', behind_point);
    add(0, '0', alone);
    add(alone, '.', behind_point);
    for (const int last : {end, behind_point, alone}) node(last).ends = true;
  }

  int divisor_;
  int places_;  // behind the point
  int zeros_;   // before it
  CompileWork& work_;
  RuleAutomaton nodes_;
};

}  // namespace

RuleAutomaton multiples(const Decimal& of, CompileWork& work) {
  return Multiples(of, work).run();
}

}  // namespace llamajit
