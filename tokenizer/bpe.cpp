#include "tokenizer/bpe.h"

#include <bit>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

#include "tokenizer/byte_level.h"
#include "tokenizer/merger.h"
#include "tokenizer/utf8.h"
#include "tokenizer/visible_space.h"

namespace llamajit {
namespace {

constexpr std::uint64_t kFree = std::numeric_limits<std::uint64_t>::max();

std::uint64_t pair_of(TokenId left, TokenId right) {
  return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
}

// Symbols: a piece has its id; what merges make on their way to pieces, and no piece itself is, has numbers
// beyond the vocabulary's.
class Symbols {
 public:
  explicit Symbols(const Vocab& vocab) : vocab_(vocab) {}

  TokenId of(std::string_view bytes) {
    const TokenId id = vocab_.find(bytes);
    if (id >= 0) return id;
    const TokenId next = vocab_.size() + static_cast<TokenId>(others_.size());
    return others_.try_emplace(std::string(bytes), next).first->second;
  }

 private:
  const Vocab& vocab_;
  std::unordered_map<std::string, TokenId> others_;
};

}  // namespace

PairTable::PairTable(std::size_t capacity)
    : slots_(std::bit_ceil(capacity + capacity / 2 + 2), Slot{kFree, -1}),
      shift_(64 - std::countr_zero(slots_.size())) {}

// The pair's slot, or the free one where it belongs.
std::size_t PairTable::slot_of(std::uint64_t pair) const {
  std::size_t at = (pair * 0x9E3779B97F4A7C15) >> shift_;
  while (slots_[at].pair != pair && slots_[at].pair != kFree) at = (at + 1) & (slots_.size() - 1);
  return at;
}

void PairTable::insert(std::uint64_t pair, std::int32_t value) {
  Slot& slot = slots_[slot_of(pair)];
  if (slot.pair == kFree) slot = {pair, value};
}

std::int32_t PairTable::find(std::uint64_t pair) const {
  return slots_[slot_of(pair)].value;
}

// Merges by their place in the list.
class BpeTokenizer::Rule {
 public:
  explicit Rule(const BpeTokenizer& tokenizer) : t_(tokenizer) {}

  static bool separates(Position /*at*/) { return false; }
  std::int32_t find(TokenId left, TokenId right, Position /*begin*/, Position /*end*/) const {
    return t_.pairs_.find(pair_of(left, right));
  }
  TokenId result(std::int32_t merge) const { return t_.results_[static_cast<std::size_t>(merge)]; }
  static std::uint32_t priority(std::int32_t merge) { return static_cast<std::uint32_t>(merge); }

 private:
  const BpeTokenizer& t_;
};

BpeTokenizer::BpeTokenizer(Vocab vocab, std::span<const std::string_view> merges,
                           const PreTokenizerRule& rule)
    : Tokenizer(std::move(vocab), false, rule.nfc),
      pre_tokenizer_(rule),
      whole_words_(rule.whole_words),
      characters_(rule.characters),
      pairs_(merges.size()) {
  add_merges(merges);
  find_unknown();
}

void BpeTokenizer::add_merges(std::span<const std::string_view> merges) {
  Symbols symbols(vocab());
  for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    const char bytes[] = {static_cast<char>(byte)};
    const TokenId piece = characters_ ? vocab().byte_piece(static_cast<std::uint8_t>(byte)) : -1;
    byte_ids_[byte] = piece >= 0 ? piece : symbols.of({bytes, 1});
  }
  const auto bytes_of = [this](std::string_view written) {
    return characters_ ? with_spaces(written) : bytes_of_byte_level(written);
  };
  for (const std::string_view merge : merges) {
    const std::size_t space = merge.find(' ', 1);  // a piece is never empty
    if (space == std::string_view::npos) continue;
    const auto left = bytes_of(merge.substr(0, space));
    const auto right = bytes_of(merge.substr(space + 1));
    if (!left || !right || right->empty()) continue;
    pairs_.insert(pair_of(symbols.of(*left), symbols.of(*right)), static_cast<std::int32_t>(results_.size()));
    results_.push_back(symbols.of(*left + *right));
  }
}

// The unknown piece, or U+FFFD's pieces; nothing where there are none.
void BpeTokenizer::find_unknown() {
  const TokenId id = vocab().unknown();
  if (id >= 0 && id == vocab().special().unknown) {
    unknown_ = {id};
    return;
  }
  std::vector<TokenId> ids;
  encode_text(kReplacementCharacter, true, ids);
  std::string bytes;
  for (const TokenId piece : ids) bytes += vocab()[piece].bytes;
  if (bytes == kReplacementCharacter) unknown_ = std::move(ids);
}

template <class Use>
void BpeTokenizer::for_each_symbol(std::string_view word, Use use) const {
  for (Position at = 0; at < word.size();) {
    const auto length = static_cast<Position>(characters_ ? utf8_length(word.substr(at)) : 1);
    // A character that is no piece is -1, which never merges.
    use(at, length,
        characters_ ? vocab().find(word.substr(at, length)) : byte_ids_[static_cast<std::uint8_t>(word[at])]);
    at += length;
  }
}

void BpeTokenizer::encode_text(std::string_view text, bool /*begins*/, std::vector<TokenId>& ids) const {
  const std::string spaced = characters_ ? with_spaces(text) : std::string();
  if (characters_) text = spaced;
  const Rule rule(*this);
  Merger<Rule> merger(rule, text.size());
  pre_tokenizer_.split(text, [&](std::string_view word) {
    const auto begin = static_cast<Position>(word.data() - text.data());
    merger.begin_word();
    if (const TokenId id = whole_words_ ? vocab().find(word) : -1; id >= 0) {
      return merger.add(begin, static_cast<Position>(word.size()), id);
    }
    for_each_symbol(word,
                    [&](Position at, Position length, TokenId id) { merger.add(begin + at, length, id); });
  });
  merger.merge_all();
  merger.for_each([&](TokenId id, Position begin, Position end) {
    if (id >= 0 && id < vocab().size()) {
      ids.push_back(id);
    } else {
      append_bytes(text.substr(begin, end - begin), ids);
    }
  });
}

// Merges may leave something behind that is no piece, and a character may be none: it becomes
// its bytes, each of them unknown where it is no piece either.
void BpeTokenizer::append_bytes(std::string_view bytes, std::vector<TokenId>& ids) const {
  for (const char byte : bytes) {
    const TokenId id = byte_ids_[static_cast<std::uint8_t>(byte)];
    if (id < vocab().size()) {
      ids.push_back(id);
    } else {
      ids.insert(ids.end(), unknown_.begin(), unknown_.end());
    }
  }
}

}  // namespace llamajit
