#include "runtime/grammar/token_trie.h"

#include <algorithm>
#include <utility>

namespace llamajit {
namespace {

bool adds_bytes(const Piece& piece) {
  const bool is_text = piece.kind == PieceKind::normal || piece.kind == PieceKind::user_defined ||
                       piece.kind == PieceKind::byte;
  return is_text && !piece.bytes.empty();
}

std::vector<TokenId> tokens_that_end(const Vocab& vocab) {
  std::vector<TokenId> ends = vocab.special().ends;
  if (vocab.special().bos_ends) ends.push_back(vocab.special().bos);
  std::erase_if(ends, [&](TokenId id) { return id < 0 || id >= vocab.size(); });
  return ends;
}

}  // namespace

PieceTree::PieceTree(std::span<const std::string_view> pieces, std::vector<TokenId> tokens)
    : bytes_{0}, depths_{0}, ends_{0}, token_begins_{0}, tokens_(std::move(tokens)) {
  std::vector<Node> path{0};  // from the root to the last piece's node
  const auto leave_to = [&](std::size_t depth) {
    for (; path.size() > depth + 1; path.pop_back()) ends_[path.back()] = static_cast<Node>(bytes_.size());
  };
  std::string_view before;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const std::string_view bytes = pieces[i];
    if (bytes == before) continue;
    const auto common = static_cast<std::size_t>(std::ranges::mismatch(before, bytes).in1 - before.begin());
    leave_to(common);
    for (std::size_t at = common; at < bytes.size(); ++at) {
      path.push_back(static_cast<Node>(bytes_.size()));
      bytes_.push_back(static_cast<std::uint8_t>(bytes[at]));
      depths_.push_back(static_cast<std::uint32_t>(at + 1));
      ends_.push_back(0);
      token_begins_.push_back(static_cast<std::uint32_t>(i));
    }
    max_depth_ = std::max(max_depth_, depths_.back());
    before = bytes;
  }
  leave_to(0);
  ends_[0] = static_cast<Node>(bytes_.size());
  token_begins_.push_back(static_cast<std::uint32_t>(tokens_.size()));
}

TokenTrie::TokenTrie(const Vocab& vocab) : vocab_size_(vocab.size()), text_ends_(tokens_that_end(vocab)) {
  std::array<std::vector<TokenId>, kLengths.size() + 1> by_length;
  piece_begins_.push_back(0);
  for (TokenId id = 0; id < vocab.size(); ++id) {
    const std::string& bytes = vocab[id].bytes;
    if (adds_bytes(vocab[id]) && std::ranges::count(text_ends_, id) == 0) {
      const auto* const length = std::ranges::lower_bound(kLengths, bytes.size());
      by_length.at(static_cast<std::size_t>(length - kLengths.begin())).push_back(id);
      pieces_ += bytes;
    }
    piece_begins_.push_back(pieces_.size());
  }
  for (std::vector<TokenId>& tokens : by_length) {
    std::ranges::sort(tokens, {}, [this](TokenId id) { return std::pair(piece(id), id); });
    std::vector<std::string_view> pieces;
    pieces.reserve(tokens.size());
    for (const TokenId id : tokens) pieces.push_back(piece(id));
    trees_.emplace_back(pieces, std::move(tokens));
  }
}

std::string_view TokenTrie::piece(TokenId token) const {
  const auto id = static_cast<std::size_t>(token);
  return std::string_view(pieces_).substr(piece_begins_[id], piece_begins_[id + 1] - piece_begins_[id]);
}

}  // namespace llamajit
