// What the targets of grammars do with those that are read.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "runtime/grammar/constraint.h"
#include "tests/fuzz/fuzz.h"

namespace llamajit::fuzz {

// Holds a text to it, token by token, and lets it write on by itself: what a mask leaves must be accepted, and what it
// takes away must not.
inline void write_by(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  static const Vocab kVocab = [] {
    std::vector<Piece> pieces{
        {"<unk>", 0, PieceKind::unknown}, {"<s>", 0, PieceKind::control}, {"</s>", 0, PieceKind::control}};
    for (int byte = 0; byte < 256; ++byte) pieces.push_back({std::string(1, static_cast<char>(byte))});
    for (const char* const more : {"ab", "\": ", "{\"", "12", "true", "null", "\"}", "\xEA\xB0\x80"})
      pieces.push_back({more});
    return Vocab(pieces);
  }();
  static const auto kTrie = std::make_shared<const TokenTrie>(kVocab);
  Constraint constraint(grammar, kTrie);
  std::vector<float> logits(static_cast<std::size_t>(kVocab.size()));
  const auto allowed = [&](TokenId id) { return logits[static_cast<std::size_t>(id)] == 0; };
  for (int written = 0; written < 24 && !constraint.must_end(); ++written) {
    std::fill(logits.begin(), logits.end(), 0.0F);
    constraint.mask(logits);
    const auto wished = text.empty() ? TokenId{3} : TokenId{3} + static_cast<std::uint8_t>(text.front());
    if (!text.empty()) text.remove_prefix(1);
    if (!allowed(wished))
      expect(!constraint.try_accept(wished), "a token was accepted that the mask takes away");
    TokenId next = wished;
    for (TokenId i = 0; i < kVocab.size() && (!allowed(next) || next < 3); ++i)
      next = (wished + i) % kVocab.size();
    if (!allowed(next) || next < 3) break;  // the end alone
    expect(constraint.try_accept(next), "a token was refused that the mask leaves");
  }
}

}  // namespace llamajit::fuzz
