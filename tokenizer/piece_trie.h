// Finds the pieces that a text begins with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/vocab.h"

namespace llamajit {

// A tree with a byte on each edge. Its nodes lie level by level, so that a node's children are neighbours, and
// so are the bytes that lead to them: a step is a search for one byte among at most 256.
class PieceTrie {
 public:
  // A longer piece is refused: a lookup takes no more steps than this.
  static constexpr std::size_t kLongest = 1024;

  // Holds the normal pieces, which may go away afterwards. Empty ones are never found; of equal ones, the
  // lowest id is. Throws std::invalid_argument for a piece of more than kLongest bytes.
  explicit PieceTrie(const Vocab& vocab);

  // use(length, id) for each piece that the text begins with, the shortest first. Takes O(kLongest).
  template <class Use>
  void for_each_prefix(std::string_view text, Use use) const {
    std::uint32_t node = 0;
    for (std::size_t length = 1; length <= text.size(); ++length) {
      node = child(node, text[length - 1]);
      if (node == 0) return;
      if (ids_[node] >= 0) use(length, ids_[node]);
    }
  }

 private:
  using Pieces = std::vector<std::pair<std::string_view, TokenId>>;

  void build(const Pieces& pieces);
  // 0, which is the root: there is none.
  std::uint32_t child(std::uint32_t node, char byte) const {
    const std::uint32_t first = first_children_[node];
    const std::uint32_t count = first_children_[node + 1] - first;
    const char* const bytes = bytes_.data() + first;
    if (count <= 1) return count == 1 && *bytes == byte ? first : 0;
    const void* const found = std::memchr(bytes, static_cast<std::uint8_t>(byte), count);
    return found == nullptr ? 0 : first + static_cast<std::uint32_t>(static_cast<const char*>(found) - bytes);
  }

  std::vector<char> bytes_;                    // that lead to each node; the root's says nothing
  std::vector<TokenId> ids_;                   // of the pieces that end at each node, -1: none does
  std::vector<std::uint32_t> first_children_;  // of each node, and one behind: where the last one's end
};

}  // namespace llamajit
