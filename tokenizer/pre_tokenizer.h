// Cuts a text into the words within which byte-level BPE merges.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "tokenizer/regex.h"

namespace llamajit {

// One expression: its matches, and what lies between them, become words of their own.
struct CutStep {
  std::string_view pattern;
  int cut = 0;  // what the pattern's first group matches is cut further, into this many characters each
  std::string_view characters{};  // what "@" stands for in the pattern
  bool from_end = false;          // the characters are counted from the end: the first part may be shorter
};

// How a family of vocabularies wants its text cut: each step cuts the words that the one before made.
struct PreTokenizerRule {
  std::string_view name;  // as tokenizer.ggml.pre has it
  std::span<const CutStep> steps;
  bool whole_words = false;  // a word that is a piece becomes that piece, whatever its merges
  bool add_bos = false;      // unless the file says otherwise
  bool always_bos = false;   // whatever it says
  bool nfc = false;          // the text is brought into Unicode's form C before
  bool characters =
      false;  // pieces are text, as SentencePiece writes it, and not bytes in byte-level characters
};

// Every rule that there is, and the one of a name (nullptr: none has it).
std::span<const PreTokenizerRule> pre_tokenizer_rules();
const PreTokenizerRule* find_pre_tokenizer_rule(std::string_view name);

class PreTokenizer {
 public:
  explicit PreTokenizer(const PreTokenizerRule& rule);

  using UseWord = std::function<void(std::string_view)>;

  // use(word) for the text's words, in order and without gaps; none is empty.
  // Bytes that are no UTF-8 are words of their own. Takes O(n).
  void split(std::string_view text, const UseWord& use) const;

 private:
  struct Step {
    Regex regex;
    int cut;
    bool from_end;
  };
  void split_well_formed(std::string_view text, RegexScratch& scratch, const UseWord& use) const;
  void cut_from(std::size_t step, std::string_view word, RegexScratch& scratch, const UseWord& use) const;

  std::vector<Step> steps_;
};

}  // namespace llamajit
