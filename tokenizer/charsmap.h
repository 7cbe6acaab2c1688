// SentencePiece's "precompiled charsmap": what it puts in the place of characters before it looks for pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llamajit {

// The format is that of sentencepiece's src/normalizer.cc: the size of the tree in bytes (32 bits, little-endian),
// the tree, then the replacements, each with a zero byte behind it. The tree is a double array as darts-clone
// writes it (include/darts.h), units of 32 bits, where the node of a prefix has the byte that leads to it in its
// lowest eight bits, "is a key" in bit 8, and the distance (exclusive or) to its children in bits 10 to 30, times
// 256 if bit 9 is set. A key's value, where its replacement begins, is in a unit with bit 31 set.
class Charsmap {
 public:
  // No map: every character stays.
  Charsmap() = default;
  // Throws std::invalid_argument where sizes or the places of replacements lie outside of the map, or it is longer
  // than 16 MiB. What it reads later, it checks there: a step of the tree that leads out of it leads nowhere.
  explicit Charsmap(std::string_view bytes);

  struct Prefix {
    std::size_t length = 0;  // bytes that are replaced; 0: nothing is
    std::string_view replacement{};
  };
  // The longest key that the text begins with, of kLongestKey bytes at most.
  Prefix find(std::string_view text) const;

  static constexpr std::size_t kLongestKey = 128;  // those of SentencePiece's own maps have up to 18 bytes

 private:
  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

}  // namespace llamajit
