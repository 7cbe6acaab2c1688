#include "runtime/grammar/constraint.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "tokenizer/utf8.h"

namespace llamajit {

void Constraint::move_to_newest() {
  const std::shared_ptr<Automaton>& newest = masks_->automaton();
  if (state_.automaton() != newest) state_.move_to(newest);
}

void Constraint::mask(std::span<float> logits) {
  move_to_newest();
  const auto tokens = masks_->of(state_.id());
  const TokenTrie& trie = masks_->trie();
  if (tokens->empty() && !state_.may_end()) {
    throw std::runtime_error(fmt::format(
        "{}: expected a token of the vocabulary that can follow, found none; rules within rules go {} deep "
        "at most",
        state_.automaton()->grammar()->name(), Automaton::kMaxDepth));
  }
  std::vector<float> of_ends;
  if (state_.may_end()) {
    for (const TokenId end : trie.ends()) {
      if (static_cast<std::size_t>(end) < logits.size())
        of_ends.push_back(logits[static_cast<std::size_t>(end)]);
    }
  }
  tokens->keep(logits);
  auto value = of_ends.begin();
  if (state_.may_end()) {
    for (const TokenId end : trie.ends()) {
      if (static_cast<std::size_t>(end) < logits.size()) logits[static_cast<std::size_t>(end)] = *value++;
    }
  }
}

void Constraint::accept(TokenId token) {
  if (try_accept(token)) return;
  const TokenTrie& trie = masks_->trie();
  const std::string_view name = state_.automaton()->grammar()->name();
  if (std::ranges::count(trie.ends(), token) > 0) {
    throw std::invalid_argument(fmt::format("{}: expected more text, found its end", name));
  }
  GrammarState beyond = state_;
  const std::string_view piece = piece_of(token);
  if (!piece.empty()) beyond.accept(piece);
  throw std::invalid_argument(fmt::format("{}: expected a token that may follow, found {} ('{}'){}", name,
                                          token, escaped(piece),
                                          beyond.is_beyond() ? ", beyond the bounds of depth" : ""));
}

bool Constraint::try_accept(TokenId token) {
  if (std::ranges::count(masks_->trie().ends(), token) > 0) return may_end();
  const std::string_view piece = piece_of(token);
  move_to_newest();
  GrammarState next = state_;
  if (piece.empty() || !next.accept(piece)) return false;
  state_ = next;
  return true;
}

std::string_view Constraint::piece_of(TokenId token) const {
  const TokenTrie& trie = masks_->trie();
  return token >= 0 && token < trie.vocab_size() ? trie.piece(token) : std::string_view();
}

}  // namespace llamajit
