// The words that BERT cuts a text into before it looks for pieces.
#pragma once

#include <functional>
#include <string_view>

namespace llamajit {

struct BertRules {
  bool lowercase = true;
  bool strip_accents = true;
};

struct BertWord {
  std::string_view bytes;  // of its first kLongest characters
  bool too_long = false;   // it has more of them
  static constexpr int kLongest = 100;
};

// use(word) for a text's words, in order; none is empty. The rules are those of HuggingFace's BertNormalizer and
// BertPreTokenizer, which follow BERT's BasicTokenizer (tokenization.py of google-research/bert):
//   - Control, format and private characters and U+FFFD are dropped, and so are bytes that are no UTF-8, which are
//     U+FFFD to the others.
//   - With strip_accents, letters are taken apart (Unicode's form D) and marks without a width (Mn) are dropped.
//   - White space ends a word. An ideograph is a word of its own, and so is punctuation, as which all of ASCII's
//     symbols count.
// Takes O(n) time, and memory for one word.
void for_each_bert_word(std::string_view text, BertRules rules, const std::function<void(BertWord)>& use);

}  // namespace llamajit
