// Finds the spelling of special pieces in a text.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/vocab.h"

namespace llamajit {

class PieceMatcher {
 public:
  // Looks for the pieces of the vocabulary (which must outlive it) whose kind `wanted` says yes to. Empty
  // pieces are never found; of equal ones, the lowest id is.
  template <class Wanted>
  PieceMatcher(const Vocab& vocab, Wanted wanted) {
    for (TokenId id = 0; id < vocab.size(); ++id) {
      if (wanted(vocab[id].kind) && !vocab[id].bytes.empty()) pieces_.emplace_back(vocab[id].bytes, id);
    }
    index();
  }

  struct Match {
    std::size_t begin;  // where nothing is found, both are the text's end
    std::size_t end;
    TokenId id;  // -1: nothing found
  };
  // The leftmost piece in the text, the longest of those that begin there. Takes O(log pieces) for each byte
  // of the text and of the beginnings of pieces in it.
  Match find(std::string_view text) const;

 private:
  using Pieces = std::vector<std::pair<std::string_view, TokenId>>;

  void index();
  Match longest_at(std::string_view text, std::size_t begin) const;

  Pieces pieces_;                         // sorted by their bytes
  std::array<std::size_t, 257> first_{};  // the range of those that begin with a byte: [b], [b + 1]
};

}  // namespace llamajit
