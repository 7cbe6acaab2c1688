#include "tests/support/copying_heads.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace llamajit {
namespace {

constexpr std::size_t kSeen = 6, kNear = 3;  // tokens before, and what the first layer finds of them
constexpr std::size_t kName = 32, kCode = 64,
                      kBlock = 32;  // values of the codes that are compared, and copied
constexpr std::size_t kMostTokens = 2 * kName * kName;
// What codes are in the stream, where they must not disturb the model.
constexpr double kSmall = 1.0 / 256;
// Of queries and keys that look back: the pairs that are rotated fastest, and what is in them, so that the score of the token
// that is looked for is 17 above any other's.
constexpr std::size_t kPairs = 8;
constexpr double kRotated = 16;
// Of those that compare: a token's name that is the same adds 32 * 16 * 16 / sqrt(256) to a score, another one 8 / 32 of that
// at most, and the text's first token has the score of so many that are the same.
constexpr double kCompared = 16, kEnough = 4.6;
// And the pair by which of equal places the last has the highest score: that of others falls by 0.15 a token.
constexpr std::size_t kRecentPair = 20;
constexpr double kRecent = 27.5;
constexpr double kGate = 8;
// The classifier's values, and what the last norm makes of a code beside the stream's own.
constexpr double kClassifier = 0.25, kLogits = 160;

// Of a field of 2^5 or 2^6 elements, by its polynomial.
unsigned cube(unsigned x, unsigned polynomial) {
  const unsigned size = std::bit_floor(polynomial);
  const auto times = [&](unsigned a, unsigned b) {
    unsigned product = 0;
    for (; b != 0; b >>= 1) {
      product ^= (b & 1) != 0 ? a : 0;
      a <<= 1;
      if (a >= size) a ^= polynomial;
    }
    return product;
  };
  return times(x, times(x, x));
}
// Sums of a linear and a cubic form: different ones have a product of 8 at most in 32 values, and of 16 in 64 (Gold's
// sequences; the dual of a code that corrects two errors).
double form_at(unsigned linear, unsigned cubic, std::size_t at, unsigned polynomial) {
  const auto x = static_cast<unsigned>(at);
  return std::popcount((linear & x) ^ (cubic & cube(x, polynomial))) % 2 == 0 ? 1 : -1;
}
double name_of(std::int64_t token, std::size_t at) {
  const auto t = static_cast<unsigned>(token);
  return form_at(t % kName, t / kName % kName, at, 0b100101) * (t / (kName * kName) == 0 ? 1 : -1);
}
double code_of(std::int64_t token, std::size_t at) {
  const auto t = static_cast<unsigned>(token);
  return form_at(t % kCode, t / kCode, at, 0b1000011);
}

}  // namespace

CopyingHeads::CopyingHeads(int dim, int heads, std::vector<double> lengths, int first_token, double theta,
                           std::optional<Renaming> renaming)
    : lengths_(std::move(lengths)),
      first_token_(first_token),
      theta_(theta),
      renaming_(renaming),
      length_(1.05 * *std::ranges::max_element(lengths_)),
      constant_(static_cast<std::size_t>(dim)),
      first_(constant_ + 1),
      filler_(constant_ + kBlock),
      name_(filler_ + kBlock),
      before_(name_ + kName),
      code_(before_ + kSeen * kName),
      copied_(code_ + kCode) {
  if (copied_ + kCode > static_cast<std::size_t>(kWiden * dim) || constant_ % kBlock != 0) {
    throw std::runtime_error(
        fmt::format("copies: expected a stream of 160 values or more, in blocks of 32, found {}", dim));
  }
  if (heads < static_cast<int>(kNear))
    throw std::runtime_error(fmt::format("copies: expected {} heads, found {}", kNear, heads));
  if (lengths_.size() > kMostTokens) {
    throw std::runtime_error(
        fmt::format("copies: expected {} tokens at most, found {}", kMostTokens, lengths_.size()));
  }
}

void CopyingHeads::add_to(std::string_view tensor, std::int64_t row, std::span<float> values) const {
  if (tensor == "token_embd.weight") return add_embedding(row, values);
  if (tensor == "output_norm.weight") {
    const double weight = kLogits * length_ / kSmall / std::sqrt(values.size());
    std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(copied_), kCode, static_cast<float>(weight));
  }
  if (tensor == "output.weight" && row != first_token_ && !(renaming_ && row == renaming_->from)) {
    const std::int64_t copied = renaming_ && row == renaming_->to ? renaming_->from : row;
    for (std::size_t i = 0; i < kCode; ++i)
      values[copied_ + i] = static_cast<float>(kClassifier * code_of(copied, i));
  }
  constexpr std::string_view kLayer = "blk.0.";
  const int layer =
      tensor.size() > kLayer.size() && tensor[kLayer.size() - 1] == '.' ? tensor[4] - '0' : kLayers;
  if (!tensor.starts_with("blk.") || layer >= kLayers) return;
  const std::string_view part = tensor.substr(kLayer.size());
  if (part.ends_with("norm.weight")) return add_norm(values);
  if (layer == 0) return find_tokens_before(part, row, values);
  if (layer == 1) return find_what_they_know(part, row, values);
  find_alike(part, row, values);
  remove_filler(part, row, values);
}

// All tokens get the same length by the filler, so that the layers' norms make the same of all codes: codes of a token's
// length would not do, since what is written behind its embedding is normed with this. The last layer removes it.
void CopyingHeads::add_embedding(std::int64_t token, std::span<float> values) const {
  const double length = lengths_[static_cast<std::size_t>(token)];
  values[filler_] = static_cast<float>(std::sqrt(length_ * length_ - length * length));
  values[constant_] = static_cast<float>(kSmall);
  if (token == first_token_) {
    values[first_] = static_cast<float>(kSmall);
    return;
  }
  for (std::size_t i = 0; i < kName; ++i) values[name_ + i] = static_cast<float>(kSmall * name_of(token, i));
  for (std::size_t i = 0; i < kCode; ++i) values[code_ + i] = static_cast<float>(kSmall * code_of(token, i));
}

// Codes and constants become 1, the filler what it is in the stream. Nothing is read of the model's own values.
void CopyingHeads::add_norm(std::span<float> weights) const {
  const double one = length_ / std::sqrt(weights.size());
  std::fill(weights.begin() + static_cast<std::ptrdiff_t>(constant_), weights.end(),
            static_cast<float>(one / kSmall));
  weights[filler_] = static_cast<float>(one);
}

// The query or key at a row of a head that attends to the token that is so many before.
void CopyingHeads::look_back(std::string_view part, std::int64_t row, int tokens,
                             std::span<float> values) const {
  const auto at = static_cast<std::size_t>(row % kWiderHeadSize);
  if (at >= 2 * kPairs) return;
  if (part == "attn_k.weight" && at % 2 == 0) values[constant_] = static_cast<float>(kRotated);
  if (part != "attn_q.weight") return;
  const double angle = tokens * std::pow(theta_, -2.0 * static_cast<double>(at / 2) / kHeadSize);
  values[constant_] = static_cast<float>(kRotated * (at % 2 == 0 ? std::cos(angle) : -std::sin(angle)));
}

void CopyingHeads::find_tokens_before(std::string_view part, std::int64_t row,
                                      std::span<float> values) const {
  const auto head = static_cast<int>(row / kWiderHeadSize);
  const auto at = static_cast<std::size_t>(row % kWiderHeadSize),
             to = static_cast<std::size_t>(row) - before_;
  look_back(part, row, head + 1, values);
  if (part == "attn_v.weight" && at < kName) values[name_ + at] = 1;
  if (part == "attn_output.weight" && to < kNear * kName)
    values[to / kName * kWiderHeadSize + to % kName] = static_cast<float>(kSmall);
}

void CopyingHeads::find_what_they_know(std::string_view part, std::int64_t row,
                                       std::span<float> values) const {
  const auto at = static_cast<std::size_t>(row), to = at - before_ - kNear * kName;
  look_back(part, row, kNear, values);
  if (part == "attn_v.weight" && at < kNear * kName) values[before_ + at] = 1;
  if (part == "attn_output.weight" && to < kNear * kName) values[to] = static_cast<float>(kSmall);
}

void CopyingHeads::find_alike(std::string_view part, std::int64_t row, std::span<float> values) const {
  const auto at = static_cast<std::size_t>(row), compared = at - kHeadSize, to = at - copied_;
  // The slowest pair stands still, as far as a context goes.
  constexpr std::size_t kStill = kHeadSize - 2;
  const double enough = kCompared * std::sqrt(kEnough * kName);
  const bool is_query = part == "attn_q.weight", is_key = part == "attn_k.weight";
  if (is_query && at == kStill) values[constant_] = static_cast<float>(enough);
  if (is_key && at == kStill) values[first_] = static_cast<float>(enough);
  if (is_query && at == 2 * kRecentPair + 1) values[constant_] = kRecent;
  if (is_key && at == 2 * kRecentPair) values[constant_] = kRecent;
  // The names of the token itself and of those before it lie one after the other.
  if (is_query && compared < kSeen * kName) values[name_ + compared] = kCompared;
  if (is_key && compared < kSeen * kName) values[before_ + compared] = kCompared;
  if (part == "attn_v.weight" && at < kCode) values[code_ + at] = 1;
  if (part == "attn_output.weight" && to < kCode) values[to] = static_cast<float>(kSmall);
}

// By one hidden value, whose gate is the same for all tokens.
void CopyingHeads::remove_filler(std::string_view part, std::int64_t row, std::span<float> values) const {
  if (part == "ffn_gate.weight" && row == 0) values[constant_] = static_cast<float>(kGate);
  if (part == "ffn_up.weight" && row == 0) values[filler_] = 1;
  if (part == "ffn_down.weight" && row == static_cast<std::int64_t>(filler_))
    values[0] = static_cast<float>(-(1 + std::exp(-kGate)) / kGate);
}

}  // namespace llamajit
