#include "runtime/draft/model_drafter.h"

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

namespace llamajit {
namespace {

constexpr int kMostPadding = 512;
// The smaller model takes so many tokens of a long prompt in a step of the text, which may be cancelled between them.
constexpr std::size_t kMostUnseen = 256;

// By how much the likeliest token's logit is above the next one's, from the second least sure on; the least sure ones
// are tokens that were drawn though they are not the likeliest.
constexpr std::array<float, Guess::kSureness - 2> kLeads = {0.25F, 0.5F, 1.0F, 2.0F, 3.5F, 6.0F};

struct Leader {
  TokenId token = -1;
  float lead = 0;
};
Leader leader_of(std::span<const float> logits) {
  float first = -std::numeric_limits<float>::infinity(), second = first;
  std::size_t at = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > first) {
      second = first;
      first = logits[i];
      at = i;
    } else if (logits[i] > second) {
      second = logits[i];
    }
  }
  return {static_cast<TokenId>(at), first - second};
}

}  // namespace

ModelDrafter::ModelDrafter(Engine& engine, int vocab_size)
    : engine_(engine),
      sequence_(engine.new_sequence()),
      logits_(static_cast<std::size_t>(vocab_size), -std::numeric_limits<float>::infinity()) {}

bool ModelDrafter::begin(std::span<const TokenId> text) {
  // The last token gives the logits, so it is fed in any case.
  const int held = std::min(sequence_.common_length(text), static_cast<int>(text.size()) - 1);
  sequence_.cut(held);
  unseen_.assign(text.begin() + held, text.end());
  const auto unknown = [&](TokenId token) { return token >= engine_.config().vocab_size; };
  if (std::ssize(text) > engine_.context() || std::ranges::any_of(unseen_, unknown)) return false;
  if (unseen_.size() <= kMostUnseen) return true;
  Batch batch;
  batch.add(sequence_, std::span(unseen_).first(kMostUnseen), kMostUnseen);
  engine_.step(batch, [](std::size_t, const RowOutput&) {});
  return false;
}

std::optional<Guess> ModelDrafter::next(Foresight& foresight) {
  if (sequence_.length() + std::ssize(unseen_) > engine_.context()) return std::nullopt;
  Batch batch;
  batch.add(sequence_, unseen_, unseen_.size() - 1);
  std::size_t vocab = 0;
  engine_.step(batch, [&](std::size_t, const RowOutput& output) {
    vocab = std::min(output.logits.size(), logits_.size());
    std::ranges::copy(output.logits.first(vocab), logits_.begin());
  });
  std::fill(logits_.begin() + static_cast<std::ptrdiff_t>(vocab), logits_.end(),
            -std::numeric_limits<float>::infinity());
  const Leader leader = leader_of(logits_);
  const TokenId token = foresight.choose(logits_);
  unseen_.clear();
  if (token < 0 || token >= engine_.config().vocab_size) return std::nullopt;
  unseen_.push_back(token);
  if (token != leader.token) return Guess{token, 0};
  const auto rank = std::ranges::upper_bound(kLeads, leader.lead) - kLeads.begin();
  return Guess{token, 1 + static_cast<std::size_t>(rank)};
}

void refuse_other_vocab(const Vocab& model, const Vocab& draft, const std::string& draft_path) {
  const TokenId common = std::min(model.size(), draft.size());
  if (std::max(model.size(), draft.size()) - common > kMostPadding) {
    throw std::runtime_error(fmt::format("{}: vocabulary: expected the model's of {} tokens, found {}",
                                         draft_path, model.size(), draft.size()));
  }
  for (TokenId id = 0; id < common; ++id) {
    if (model[id].bytes == draft[id].bytes) continue;
    throw std::runtime_error(
        fmt::format("{}: vocabulary: expected the model's, whose token {} is '{}', found '{}'", draft_path,
                    id, model[id].bytes, draft[id].bytes));
  }
}

}  // namespace llamajit
