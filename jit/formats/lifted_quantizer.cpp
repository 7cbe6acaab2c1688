#include "jit/formats/lifted_quantizer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "jit/base/scalar_math.h"
#include "jit/formats/fit.h"
#include "jit/formats/rows.h"

namespace llamajit::jit {
namespace {

// Integers that subscales can be.
struct Factors {
  int lowest;  // whose magnitude is the largest
  int highest;
  int step = 1;

  int nearest(float x) const {
    const float bounded = min2(max2(x, static_cast<float>(lowest)), static_cast<float>(highest));
    return lowest + step * static_cast<int>(std::lround((bounded - static_cast<float>(lowest)) /
                                                        static_cast<float>(step)));
  }
};
// Where the largest magnitude is odd, all are, and both signs have it; else the negative numbers have one more.
Factors factors_of(const FormatTraits& traits) {
  const int largest = traits.largest_subscale;
  return largest % 2 != 0 ? Factors{-largest, largest, 2} : Factors{-largest, largest - 1};
}

// The levels of a subgroup that is lifted, or of one that is not.
class LevelTable {
 public:
  LevelTable(const FormatTraits& traits, int lift) : codebook_(traits.codebook), above_(lift - traits.zero) {
    const auto entries = std::span(*traits.codebook).first(std::size_t{1} << traits.bits);
    levels_ = {entries.front() + above_, entries.back() + above_, nearest_.data()};
    std::size_t entry = 0;
    for (int l = levels_.lowest; l <= levels_.highest; ++l) {
      const auto distance = [&](std::size_t i) { return std::abs(entries[i] + above_ - l); };
      while (entry + 1 < entries.size() && distance(entry + 1) < distance(entry)) ++entry;
      const auto at = static_cast<std::size_t>(l - levels_.lowest);
      nearest_[at] = static_cast<std::int8_t>(entries[entry] + above_);
      code_[at] = static_cast<std::uint8_t>(entry);
    }
  }
  ~LevelTable() = default;
  LevelTable(const LevelTable&) = delete;
  LevelTable& operator=(const LevelTable&) = delete;

  const Levels& levels() const { return levels_; }
  std::uint8_t code_of(int level) const { return code_[static_cast<std::size_t>(level - levels_.lowest)]; }
  int level_of(std::uint8_t code) const { return (*codebook_)[code] + above_; }

 private:
  const Codebook* codebook_;
  int above_;
  Levels levels_{};
  std::array<std::int8_t, 256> nearest_{};
  std::array<std::uint8_t, 256> code_{};
};

// What becomes of a subgroup.
struct Choice {
  int subscale = 0;
  bool lifted = false;
  float error = 0;
};

// Weights with one scale: a group, or a row.
class LiftedQuantizer {
 public:
  LiftedQuantizer(const FormatTraits& traits, const float* x, const float* importance, std::int64_t n)
      : traits_(traits),
        factors_(factors_of(traits)),
        x_(x),
        importance_(importance),
        best_(static_cast<std::size_t>(n / traits.subgroup)),
        choices_(best_.size()),
        tried_(best_.size()) {}

  // Then group() says what each of them is.
  void quantize() {
    float extreme = 0;
    for (std::size_t s = 0; s < best_.size(); ++s) {
      best_[s] = best_scale(s);
      extreme = std::abs(best_[s]) > std::abs(extreme) ? best_[s] : extreme;
    }
    // With few subscales it matters where they lie to the scales that subgroups would have.
    const auto end = static_cast<float>(factors_.lowest);
    double least = std::numeric_limits<double>::infinity();
    for (int i = -kTries; i <= kTries; ++i) {
      const float scale = rounded(extreme / (end * (1 + static_cast<float>(i) * kTryStep)));
      attempt(scale, least);
    }
    // Weights too large for the format, or for squares of errors, have no scale; a refitted one would be 0.
    stored_ = std::numeric_limits<float>::quiet_NaN();
    if (!std::isfinite(least)) return;
    for (int i = 0; i < kMostRefits && attempt(refitted(), least); ++i) {
    }
    stored_ = rounded(scale_ * growth());
  }

  Group group(std::int64_t g) const {
    Group to = {};
    to.scale = stored_;
    const int subgroups = traits_.group / traits_.subgroup;
    for (int i = 0; i < subgroups; ++i) {
      const auto s = static_cast<std::size_t>(g * subgroups + i);
      const Choice& choice = choices_[s];
      to.subscales[i] = static_cast<std::int8_t>(choice.subscale);
      to.lifted =
          static_cast<std::uint16_t>(to.lifted | (choice.lifted ? 1U : 0U) << static_cast<unsigned>(i));
      std::int8_t levels[Group::kMost];
      take_levels(s, choice, scale_, levels);
      std::uint8_t* const codes = to.codes + static_cast<std::ptrdiff_t>(i) * traits_.subgroup;
      for (int k = 0; k < traits_.subgroup; ++k) codes[k] = table(choice.lifted).code_of(levels[k]);
      if (traits_.kind == FormatKind::iq4_kss) make_bits_even(s, choice, codes);
    }
    return to;
  }

 private:
  static constexpr int kTries = 4, kMostRefits = 4;
  static constexpr float kTryStep = 0.03F;
  // As formats of grids have it (grid_quantizer.cpp).
  static constexpr double kGrowth = 0.85, kMostGrowth = 1.5;

  const LevelTable& table(bool lifted) const { return lifted ? lifted_ : plain_; }
  float rounded(double scale) const {
    return traits_.row_scale_bytes > 0 ? as_row_scale(traits_, scale)
                                       : half_to_float(float_to_half(static_cast<float>(scale)));
  }
  const float* weights(std::size_t s) const { return x_ + static_cast<std::ptrdiff_t>(s) * traits_.subgroup; }
  const float* importances(std::size_t s) const {
    return importance_ == nullptr ? nullptr : importance_ + static_cast<std::ptrdiff_t>(s) * traits_.subgroup;
  }
  float take_levels(std::size_t s, const Choice& choice, float scale, std::int8_t* to) const {
    return nearest_levels(weights(s), importances(s), traits_.subgroup,
                          {scale * static_cast<float>(choice.subscale), 0}, table(choice.lifted).levels(),
                          to);
  }

  // Of four codes of IQ4_KSS that share a word: where they have an odd number of bits that are set, gives one of them the
  // value for which the error grows least.
  void make_bits_even(std::size_t s, const Choice& choice, std::uint8_t* codes) const {
    constexpr std::size_t kPairs = 8, kHalf = 16;
    const float scale = scale_ * static_cast<float>(choice.subscale);
    const auto error = [&](std::size_t k, std::uint8_t code) {
      const float difference =
          weights(s)[k] - scale * static_cast<float>(table(choice.lifted).level_of(code));
      return difference * difference * (importance_ == nullptr ? 1 : importances(s)[k]);
    };
    for (std::size_t pair = 0; pair < kPairs; ++pair) {
      const std::size_t places[] = {2 * pair, 2 * pair + 1, kHalf + 2 * pair, kHalf + 2 * pair + 1};
      int set = 0;
      for (const std::size_t k : places) set += std::popcount(codes[k]);
      if (set % 2 == 0) continue;
      float least = std::numeric_limits<float>::infinity();
      std::size_t changed = places[0];
      std::uint8_t changed_to = codes[changed] ^ 1U;
      for (const std::size_t k : places) {
        for (std::uint8_t code = 0; code < 16; ++code) {
          if ((std::popcount(code) + std::popcount(codes[k])) % 2 == 0) continue;
          const float more = error(k, code) - error(k, codes[k]);
          if (!(more < least)) continue;
          least = more;
          changed = k;
          changed_to = code;
        }
      }
      codes[changed] = changed_to;
    }
  }

  // The better one of both tables.
  float best_scale(std::size_t s) const {
    std::int8_t unused[Group::kMost];
    float scales[2], errors[2];
    for (const bool lifted : {false, true}) {
      const Levels& levels = table(lifted).levels();
      scales[lifted] = fit_scale(weights(s), importances(s), traits_.subgroup, levels);
      errors[lifted] =
          nearest_levels(weights(s), importances(s), traits_.subgroup, {scales[lifted], 0}, levels, unused);
    }
    return errors[1] < errors[0] ? scales[1] : scales[0];
  }

  // The nearest subscale and its neighbours, with each table.
  Choice choose(std::size_t s, float scale) const {
    std::int8_t unused[Group::kMost];
    Choice best;
    best.error = std::numeric_limits<float>::infinity();
    const int nearest = scale == 0 ? factors_.nearest(0) : factors_.nearest(best_[s] / scale);
    for (int i = -1; i <= 1; ++i) {
      const int subscale = nearest + i * factors_.step;
      if (subscale < factors_.lowest || subscale > factors_.highest) continue;
      for (const bool lifted : {false, true}) {
        Choice choice = {subscale, lifted};
        choice.error = take_levels(s, choice, scale, unused);
        if (choice.error < best.error) best = choice;
      }
    }
    return best;
  }

  // Keeps a scale that is better than the best so far.
  bool attempt(float scale, double& least) {
    double error = 0;
    for (std::size_t s = 0; s < best_.size(); ++s) {
      tried_[s] = choose(s, scale);
      error += tried_[s].error;
    }
    if (!(error < least)) return false;
    least = error;
    scale_ = scale;
    choices_.swap(tried_);
    return true;
  }

  // How much larger a scale makes good a share of what is missing of the weights' product with what they were.
  double growth() const {
    double up = 0, squares = 0;
    for (std::size_t s = 0; s < best_.size(); ++s) {
      std::int8_t levels[Group::kMost];
      take_levels(s, choices_[s], scale_, levels);
      for (int i = 0; i < traits_.subgroup; ++i) {
        const double w = importance_ == nullptr ? 1 : importances(s)[i], x = weights(s)[i];
        up += w * x * levels[i] * choices_[s].subscale;
        squares += w * x * x;
      }
    }
    const double product = up * static_cast<double>(scale_);
    return product > 0 ? std::min(1 + kGrowth * (squares / product - 1), kMostGrowth) : 1;
  }

  // The best scale for the levels and subscales that are chosen.
  float refitted() const {
    double up = 0, down = 0;
    for (std::size_t s = 0; s < best_.size(); ++s) {
      std::int8_t levels[Group::kMost];
      take_levels(s, choices_[s], scale_, levels);
      const Moments sums = moments(weights(s), importances(s), levels, traits_.subgroup);
      const double subscale = choices_[s].subscale;
      up += subscale * sums.xl;
      down += subscale * subscale * sums.ll;
    }
    return down > 0 ? rounded(up / down) : scale_;
  }

  const FormatTraits& traits_;
  const Factors factors_;
  const float* x_;
  const float* importance_;
  const LevelTable plain_{traits_, 0}, lifted_{traits_, traits_.lift};
  std::vector<float> best_;  // of each subgroup: the scale that it would have
  std::vector<Choice> choices_, tried_;
  float scale_ = 0;   // by which levels are chosen
  float stored_ = 0;  // which may have grown
};

}  // namespace

void quantize_lifted(const FormatTraits& traits, const float* x, std::int64_t n, const float* importance,
                     std::byte* blocks) {
  const BlockRows rows(traits.kind, n);
  const std::int64_t unit = traits.row_scale_bytes > 0 ? n : traits.group;
  for (std::int64_t first = 0; first < n; first += unit) {
    LiftedQuantizer quantizer(traits, x + first, importance == nullptr ? nullptr : importance + first, unit);
    quantizer.quantize();
    for (std::int64_t g = 0; g < unit / traits.group; ++g) {
      rows.join(quantizer.group(g), first / traits.group + g, blocks);
    }
  }
}

}  // namespace llamajit::jit
