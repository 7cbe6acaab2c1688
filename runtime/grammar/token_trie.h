// A vocabulary's pieces as a tree of their bytes, so that what many of them begin with is looked at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/vocab.h"

namespace llamajit {

// Nodes are numbered as they are met depth first, bytes ascending; node 0 is the root. Immutable.
class PieceTree {
 public:
  using Node = std::uint32_t;

  // Of pieces in ascending order, and their tokens.
  PieceTree(std::span<const std::string_view> pieces, std::vector<TokenId> tokens);

  std::uint8_t byte(Node node) const { return bytes_[node]; }  // the last one on the way there
  std::uint32_t depth(Node node) const { return depths_[node]; }
  Node end(Node node) const { return ends_[node]; }  // behind all that goes on from the node
  // Tokens whose piece is the way to the node.
  std::span<const TokenId> tokens(Node node) const {
    return std::span(tokens_).subspan(token_begins_[node], token_begins_[node + 1] - token_begins_[node]);
  }
  std::uint32_t max_depth() const { return max_depth_; }

 private:
  std::vector<std::uint8_t> bytes_;
  std::vector<std::uint32_t> depths_;
  std::vector<Node> ends_;
  std::vector<std::uint32_t> token_begins_;
  std::vector<TokenId> tokens_;
  std::uint32_t max_depth_ = 0;
};

// The pieces that add bytes to a text: normal ones, user-defined ones and bytes, but none that ends a text. Immutable.
class TokenTrie {
 public:
  // Pieces of up to 8 bytes, of up to 16 and 32, and longer ones, each in a tree of their own.
  static constexpr std::array<std::size_t, 3> kLengths{8, 16, 32};

  explicit TokenTrie(const Vocab& vocab);

  std::span<const PieceTree> trees() const { return trees_; }
  TokenId vocab_size() const { return vocab_size_; }
  // Of a token in a tree; nothing of others.
  std::string_view piece(TokenId token) const;
  // The tokens that end a text: SpecialTokens::ends, and BOS where that ends one.
  const std::vector<TokenId>& ends() const { return text_ends_; }

 private:
  std::vector<PieceTree> trees_;
  TokenId vocab_size_;
  std::vector<TokenId> text_ends_;
  std::vector<std::size_t> piece_begins_;  // in pieces_
  std::string pieces_;
};

}  // namespace llamajit
