// Text to ids and back, whatever the vocabulary's algorithm.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/piece_matcher.h"
#include "tokenizer/vocab.h"

namespace llamajit {

struct EncodeOptions {
  bool bos = true;        // BOS in front, where the vocabulary asks for it
  bool eos = true;        // EOS behind, likewise
  bool special = false;   // what a control piece is called stands for it, where the vocabulary allows it
  bool normalize = true;  // the text is brought into Unicode's form C, where the tokenizer does that
};

class Tokenizer {
 public:
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;
  virtual ~Tokenizer() = default;

  const Vocab& vocab() const { return vocab_; }

  // Text (any bytes) to ids. User-defined pieces are found first, and with options.special
  // control and unknown ones, too: the leftmost, and of those that begin there the
  // longest. The text between them is brought into Unicode's form C, where the model's
  // own tokenizer does so, and goes through the vocabulary's algorithm. O(n log n) in
  // the text's length. Throws std::length_error for a text of 4 GiB or more.
  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const;

  // The bytes that a token adds to the text when it follows `previous` (-1: nothing, it begins the text): nothing
  // for control and unknown pieces. Where the text begins, be it behind BOS, a leading space is dropped if encode
  // puts one there. Also nothing for an id outside the vocabulary.
  std::string_view decode(TokenId previous, TokenId token) const;

 protected:
  // `space_prefix`: a text begins with a space that encode_text() puts there. `nfc`: text is normalised.
  Tokenizer(Vocab vocab, bool space_prefix, bool nfc = false);

  bool space_prefix() const { return space_prefix_; }

 private:
  void encode_plain(std::string_view text, bool begins, bool normalize, std::vector<TokenId>& ids) const;
  // Appends the ids of a text without special pieces, which is not empty. `begins`: at the beginning of the
  // whole, or after a special piece.
  virtual void encode_text(std::string_view text, bool begins, std::vector<TokenId>& ids) const = 0;

  Vocab vocab_;
  bool space_prefix_;
  bool nfc_;
  PieceMatcher user_defined_;
  PieceMatcher special_;  // with the user-defined ones
};

}  // namespace llamajit
