#include "tokenizer/unigram.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tokenizer/merger.h"
#include "tokenizer/utf8.h"
#include "tokenizer/visible_space.h"

namespace llamajit {
namespace {

constexpr double kUnknownPenalty = 10;
constexpr std::size_t kMostReplaced = 16;  // bytes for each of the text

double score_of_unknown(const Vocab& vocab) {
  double least = std::numeric_limits<float>::max();
  for (TokenId id = 0; id < vocab.size(); ++id) {
    if (vocab[id].kind == PieceKind::normal) least = std::min<double>(least, vocab[id].score);
  }
  return least - kUnknownPenalty;
}

// What stands for the characters that a text begins with, and how many bytes of it those have.
Charsmap::Prefix next_characters(const Charsmap& charsmap, std::string_view text) {
  if (const Charsmap::Prefix found = charsmap.find(text); found.length > 0) return found;
  const std::size_t length = utf8_length(text);
  const bool is_text = length > 1 || static_cast<std::uint8_t>(text[0]) < 0x80;
  if (!is_text) return {1, kReplacementCharacter};
  const std::string_view character = text.substr(0, length);
  return {length, character == kVisibleSpace ? " " : character};
}

}  // namespace

// The best way to write the text up to a place: its sum of scores, and its last piece, which begins here.
struct UnigramTokenizer::Best {
  static constexpr Position kNowhere = -1;
  static constexpr TokenId kNoPiece = -1;  // a character that is none

  double score = 0;
  Position begin = kNowhere;
  TokenId id = kNoPiece;
};

// A part of the text, from a place that no piece lies across up to the next one. What is best in one part does
// not depend on the others: memory is needed for a part, which is mostly a word, and its scores sum up from 0,
// as HuggingFace's tokenizers do it for words.
class UnigramTokenizer::Run {
 public:
  Run(const UnigramTokenizer& tokenizer, std::vector<TokenId>& ids) : t_(tokenizer), ids_(ids) {}

  // Finds and appends the pieces of the part that `text` begins with; returns its length.
  Position append(std::string_view text) {
    Position at = 0;
    reached_ = 0;
    do {
      at += relax(text, at);
    } while (at < reached_);
    trace_back(text, at);
    std::fill_n(best_.begin(), reached_ + 1, Best{});
    return at;
  }

 private:
  // Every piece that begins here may be the last one of the best way to where it ends. Returns the length of
  // the character here.
  Position relax(std::string_view text, Position at) {
    const std::string_view rest = text.substr(at);
    const double here = best_[at].score;
    const std::size_t character = utf8_length(rest);
    bool has_character = false;
    t_.pieces_.for_each_prefix(rest, [&](std::size_t length, TokenId id) {
      has_character = has_character || length == character;
      offer(at, length, {here + double{t_.vocab()[id].score}, at, id});
    });
    if (!has_character) offer(at, character, {here + t_.unknown_score_, at, Best::kNoPiece});
    return static_cast<Position>(character);
  }

  void offer(Position at, std::size_t length, Best way) {
    const std::size_t end = at + length;
    reached_ = std::max(reached_, end);
    if (end >= best_.size()) best_.resize(2 * end);
    Best& best = best_[end];
    if (best.begin == Best::kNowhere || way.score > best.score) best = way;
  }

  void trace_back(std::string_view text, Position end) {
    ends_.clear();
    for (Position at = end; at > 0; at = best_[at].begin) ends_.push_back(at);
    std::ranges::reverse(ends_);
    for (const Position at : ends_) {
      const Best& way = best_[at];
      append_piece(way.id, text.substr(way.begin, at - way.begin));
    }
  }

  void append_piece(TokenId id, std::string_view bytes) {
    if (id >= 0) {
      ids_.push_back(id);
    } else if (!t_.append_bytes(bytes, ids_)) {
      const TokenId unknown = t_.vocab().unknown();
      if (unknown >= 0 && !after_unknown_) ids_.push_back(unknown);
      after_unknown_ = true;
      return;
    }
    after_unknown_ = false;
  }

  const UnigramTokenizer& t_;
  std::vector<TokenId>& ids_;
  bool after_unknown_ = false;
  std::vector<Best> best_{1};   // [0]: the part's beginning; between parts, all are as new
  std::size_t reached_ = 0;     // where the piece ends that ends last
  std::vector<Position> ends_;  // of the best way's pieces
};

UnigramTokenizer::UnigramTokenizer(Vocab vocab, UnigramRules rules)
    : Tokenizer(std::move(vocab), rules.space_prefix),
      rules_(std::move(rules)),
      pieces_(this->vocab()),
      unknown_score_(score_of_unknown(this->vocab())) {}

void UnigramTokenizer::encode_text(std::string_view text, bool /*begins*/, std::vector<TokenId>& ids) const {
  const std::string prepared = prepare(text);
  Run run(*this, ids);
  for (std::string_view rest = prepared; !rest.empty();) rest.remove_prefix(run.append(rest));
}

// As SentencePiece's normalizer does it, which makes no token of a text of nothing but spaces if it merges them.
std::string UnigramTokenizer::prepare(std::string_view text) const {
  const std::size_t most =
      std::min<std::size_t>(kMostReplaced * (text.size() + 64), std::numeric_limits<Position>::max() - 1);
  const bool prefix = rules_.space_prefix;
  const bool merge = rules_.merge_spaces;
  std::string prepared(prefix ? 1 : 0, ' ');
  bool after_space = true;  // a space is dropped here, if they are merged
  while (!text.empty()) {
    const Charsmap::Prefix next = next_characters(rules_.charsmap, text);
    for (const char byte : next.replacement) {
      if (byte != ' ' || !(merge && after_space)) prepared += byte;
      after_space = byte == ' ';
    }
    if (prepared.size() > most) {
      throw std::length_error(
          fmt::format("text to encode: expected at most {} bytes after replacements, found {} with {} to go",
                      most, prepared.size(), text.size()));
    }
    text.remove_prefix(next.length);
  }
  if (merge && !prepared.empty() && prepared.back() == ' ') prepared.pop_back();
  return prepared;
}

// False: it has bytes without a piece.
bool UnigramTokenizer::append_bytes(std::string_view character, std::vector<TokenId>& ids) const {
  const auto piece_of = [&](char byte) { return vocab().byte_piece(static_cast<std::uint8_t>(byte)); };
  if (std::ranges::any_of(character, [&](char byte) { return piece_of(byte) < 0; })) return false;
  for (const char byte : character) ids.push_back(piece_of(byte));
  return true;
}

}  // namespace llamajit
