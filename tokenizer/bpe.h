// Byte-level byte-pair encoding, as GPT-2 has it: a text is cut into words, and within each the pair that
// comes first in a list is merged first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/tokenizer.h"

namespace llamajit {

// Merges by their pair of symbols: an open-addressing table, since a text asks it several times a byte.
class PairTable {
 public:
  // Room for `capacity` pairs.
  explicit PairTable(std::size_t capacity);
  // Keeps the value that a pair had before.
  void insert(std::uint64_t pair, std::int32_t value);
  std::int32_t find(std::uint64_t pair) const;  // -1: not there

 private:
  struct Slot {
    std::uint64_t pair;
    std::int32_t value;
  };
  std::size_t slot_of(std::uint64_t pair) const;

  std::vector<Slot> slots_;  // a power of two
  int shift_;                // 64 - log2 of that
};

class BpeTokenizer final : public Tokenizer {
 public:
  // The vocabulary's normal pieces hold the bytes that they stand for. `merges`
  // are written as in GGUF files: two pieces in byte-level characters (or as the
  // rule says in plain ones, with U+2581 for a space), with a space between, the
  // best first. Those that can never apply are passed over.
  BpeTokenizer(Vocab vocab, std::span<const std::string_view> merges, const PreTokenizerRule& rule);

 private:
  class Rule;

  void add_merges(std::span<const std::string_view> merges);
  void find_unknown();
  void encode_text(std::string_view text, bool begins, std::vector<TokenId>& ids) const override;
  // use(at, length, id) for the symbols that a word consists of before anything is merged.
  template <class Use>
  void for_each_symbol(std::string_view word, Use use) const;
  void append_bytes(std::string_view bytes, std::vector<TokenId>& ids) const;

  PreTokenizer pre_tokenizer_;
  bool whole_words_;
  bool characters_;
  std::array<TokenId, 256>
      byte_ids_{};                // symbol of each byte; of its own piece (<0x0A>), if words are characters
  PairTable pairs_;               // (left, right) symbols -> merge
  std::vector<TokenId> results_;  // of each merge
  std::vector<TokenId> unknown_;  // stand for a byte that no piece has
};

}  // namespace llamajit
