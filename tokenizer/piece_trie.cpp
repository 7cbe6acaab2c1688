#include "tokenizer/piece_trie.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

namespace llamajit {

PieceTrie::PieceTrie(const Vocab& vocab) {
  Pieces pieces;
  for (TokenId id = 0; id < vocab.size(); ++id) {
    const Piece& piece = vocab[id];
    if (piece.kind != PieceKind::normal || piece.bytes.empty()) continue;
    if (piece.bytes.size() > kLongest) {
      throw std::invalid_argument(
          fmt::format("vocabulary: piece {}: at most {} bytes, found {}", id, kLongest, piece.bytes.size()));
    }
    pieces.emplace_back(piece.bytes, id);
  }
  std::ranges::sort(pieces);
  const auto same_bytes = [](const auto& a, const auto& b) { return a.first == b.first; };
  pieces.erase(std::unique(pieces.begin(), pieces.end(), same_bytes), pieces.end());
  build(pieces);
}

// A node's pieces, all of which begin with the bytes on the way to it, are a range of the sorted ones.
void PieceTrie::build(const Pieces& pieces) {
  using Range = std::pair<std::size_t, std::size_t>;
  std::vector<Range> level{{0, pieces.size()}};
  bytes_.push_back(0);
  for (std::size_t depth = 0; !level.empty(); ++depth) {
    std::vector<Range> next;
    for (auto [begin, end] : level) {
      first_children_.push_back(static_cast<std::uint32_t>(bytes_.size()));
      const bool ends = begin < end && pieces[begin].first.size() == depth;
      ids_.push_back(ends ? pieces[begin++].second : -1);
      while (begin < end) {
        const char byte = pieces[begin].first[depth];
        const std::size_t from = begin;
        while (begin < end && pieces[begin].first[depth] == byte) ++begin;
        bytes_.push_back(byte);
        next.emplace_back(from, begin);
      }
    }
    if (bytes_.size() > std::numeric_limits<std::uint32_t>::max()) {
      throw std::length_error("vocabulary: its pieces have more bytes than can be counted");
    }
    level = std::move(next);
  }
  first_children_.push_back(static_cast<std::uint32_t>(bytes_.size()));
}

}  // namespace llamajit
