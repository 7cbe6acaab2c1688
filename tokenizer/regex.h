// Regular expressions with Unicode's properties over UTF-8 text, run by PCRE2.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

namespace llamajit {

// Matching needs this beside the expression; each thread that matches has one.
class RegexScratch {
 public:
  RegexScratch();
  RegexScratch(const RegexScratch&) = delete;
  RegexScratch& operator=(const RegexScratch&) = delete;
  ~RegexScratch();

 private:
  friend class Regex;
  struct State;
  std::unique_ptr<State> state_;
};

// A compiled expression. `\s` and `\S` in it mean Unicode's White_Space.
//
// PCRE2's interpreter keeps what it may have to go back to on the heap; its stack does not grow with the
// text. Its limits grow with the text's length alone, so an expression that went back and forth without end,
// or remembered more than a fixed number of places, would be stopped.
class Regex {
 public:
  // Throws std::invalid_argument that says what is wrong with the pattern and where.
  explicit Regex(std::string_view pattern);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;
  ~Regex();

  struct Match {
    std::size_t begin;
    std::size_t end;  // > begin: matches of nothing are not found
    bool group;       // whether the first group of the expression took part
  };
  // The first match in `text`, which must be well-formed UTF-8, at or after `from`. Throws std::runtime_error
  // when a limit is reached.
  std::optional<Match> find(std::string_view text, std::size_t from, RegexScratch& scratch) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

}  // namespace llamajit
