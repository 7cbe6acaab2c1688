// For a scale, the best entry of a grid is found exactly (grid_search.h), and for entries, the best scale; but they
// depend on one another. So a subgroup's scale is looked for first as if all codes were free, which costs little; around
// what is found, a few scales are tried with entries, and the best is refitted to them. The group's scale is that for
// which the subgroups' scales lie nearest to its odd multiples. Then each subgroup takes the better one of two
// multiples, with entries of its own, and the group's scale is refitted; and once more. In the end the group's scale grows
// (kGrowth).
#include "jit/formats/grid_quantizer.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>

#include "jit/base/scalar_math.h"
#include "jit/formats/blocks.h"
#include "jit/formats/grid_rules.h"
#include "jit/formats/grid_search.h"

namespace llamajit::jit {
namespace {

constexpr int kGroup = 256;

// Scales that are tried with free codes: from the first part of what RMS suggests, by even steps.
constexpr int kFreeScales = 16;
constexpr float kFirstScale = 0.6F, kScaleStep = 1.0676F;
// And with entries, which are fewer where codes are large: parts of the best one.
constexpr float kTriedScales[] = {1.03F, 0.9F, 1.18F};
// The group's scale, over that for which the largest subscale is the last multiple.
constexpr int kGroupScales = 24;
constexpr float kFirstGroupScale = 0.9F, kGroupScaleStep = 0.4F / 23;
constexpr int kRounds = 2;

// Errors that are the least in themselves make weights smaller as a whole: their product with what they were is less
// than their square was. So are then all products of a row. This share of it is made good by the group's scale, unless
// few weights of a group have been so large that others would grow too much.
constexpr float kGrowth = 0.85F, kMostGrowth = 1.5F;

// Weights below this have scales that f16 hasn't.
constexpr float kSmallest = 0x1p-40F;
// What counts less would be lost in sums of floats, and weights take any code.
constexpr float kLeastImportance = 0x1p-14F;

// Sums over a subgroup's weights: of w x v and w v^2.
struct Sums {
  float xv = 0, vv = 0;

  void add(const Sums& other) {
    xv += other.xv;
    vv += other.vv;
  }
  // Cost as grid_search.h has it.
  float cost(float scale) const { return scale * (scale * vv - 2 * xv); }
};

Four load(const float* from) {
  Four to;
  std::memcpy(&to, from, sizeof to);
  return to;
}
float total(Four sum) {
  return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

template <int Values>
class GridQuantizer {
 public:
  GridQuantizer(const FormatTraits& traits, Group& to)
      : traits_(traits), rules_(rules_of(traits.kind)), index_(index_of<Values>(traits.kind)), to_(to) {
    for (unsigned shift = 0; shift < 2; ++shift) {
      for (unsigned code = 0; code < kCodes; ++code) {
        const unsigned looked = has_shifts() ? code | shift << kUpperBit : code;
        values_[shift][code] =
            static_cast<float>(looked_up(traits.codebook, static_cast<int>(looked)) - traits.zero);
      }
    }
  }

  void quantize(const float* x, const float* importance) {
    std::ranges::fill(to_.codes, std::uint8_t{0});
    std::ranges::fill(to_.subscales, std::int8_t{1});
    set_no_mins(to_);
    to_.scale = 0;
    if (!take_weights(x, importance)) return;
    for (int s = 0; s < subgroups(); ++s) fit_subgroup(s);
    float scale = choose_group_scale();
    for (int round = 0; round < kRounds && scale != 0; ++round) {
      Sums sums;
      for (int s = 0; s < subgroups(); ++s) {
        if (round > 0 && rules_.upper_bit == UpperBit::even_signs) choose_odd_ones(s);
        choose_subscale(s, scale, round > 0 ? to_.subscales[s] : nearest_multiple(scales_[s], scale));
        const auto multiple = static_cast<float>(to_.subscales[s]);
        sums.add({multiple * sums_[s].xv, multiple * multiple * sums_[s].vv});
      }
      if (sums.xv > 0) scale = rounded(sums.xv / sums.vv);
    }
    scale = rounded(scale * growth(scale));
    if (scale == 0) return;
    to_.scale = std::ldexp(scale, exponent_);
    store_codes();
  }

 private:
  using Cell = GridCell<Values>;
  static constexpr int kWidth = Values == 9 ? 8 : 4;  // weights of an entry
  static constexpr int kCells = kGroup / kWidth;
  static constexpr unsigned kCodes = Values == 9 ? 3 : 8;
  static constexpr unsigned kUpperBit = Values == 9 ? 2 : 3;

  int subgroups() const { return kGroup / traits_.subgroup; }
  int cells() const { return traits_.subgroup / kWidth; }  // of a subgroup
  bool has_shifts() const { return rules_.upper_bit >= UpperBit::shift_of_subgroup; }

  // Weights go without their signs where codes have one, and over a power of two that makes them near 1. False if all
  // are to be zeros.
  bool take_weights(const float* x, const float* importance) {
    float largest = 0;
    for (int i = 0; i < kGroup; ++i) largest = max2(std::abs(x[i]), largest);
    if (!(largest > kSmallest) || !std::isfinite(largest)) return false;
    exponent_ = std::ilogb(largest);
    const float to_one = std::ldexp(1.0F, -exponent_);
    for (int i = 0; i < kGroup; ++i) {
      const float weight = x[i] * to_one;
      negative_[i] = !has_shifts() && weight < 0;
      x_[i] = negative_[i] ? -weight : weight;
      w_[i] = importance == nullptr ? 1 : max2(importance[i], kLeastImportance);
      wx_[i] = w_[i] * x_[i];
    }
    if (rules_.upper_bit == UpperBit::even_signs) {
      for (int first = 0; first < kGroup; first += 8) make_even(first);
    }
    for (int shift = 0; shift < (has_shifts() ? 2 : 1); ++shift) {
      for (int cell = 0; cell < kCells; ++cell) {
        for (int part = 0; part < 4; ++part) fill_part(shift, cell, part);
      }
    }
    return true;
  }

  // If an odd number of eight weights is negative, one gets the sign that it has not: at first the one that counts
  // least.
  void make_even(int first) {
    const auto odd_one = static_cast<int>(std::min_element(wx_ + first, wx_ + first + 8) - wx_);
    const bool is_odd = std::count(negative_ + first, negative_ + first + 8, true) % 2 != 0;
    odd_one_[first / 8] = is_odd ? odd_one : kNone;
    if (is_odd) change_sign(odd_one);
  }
  void change_sign(int i) {
    negative_[i] = !negative_[i];
    wx_[i] = -wx_[i];
  }

  void fill_part(int shift, int cell, int part) {
    const float* const v = values_[shift];
    Cell& to = cells_[shift][cell];
    if constexpr (Values == 9) {
      const Four first[] = {{v[0], v[1], v[2], v[0]}, {v[1], v[2], v[0], v[1]}, {v[2]}};
      const Four second[] = {{v[0], v[0], v[0], v[1]}, {v[1], v[1], v[2], v[2]}, {v[2]}};
      const int i = cell * kWidth + 2 * part;
      for (int k = 0; k < Cell::kVectors; ++k) {
        to.products[part][k] = first[k] * wx_[i] + second[k] * wx_[i + 1];
        to.squares[part][k] = first[k] * first[k] * w_[i] + second[k] * second[k] * w_[i + 1];
      }
    } else {
      const int i = cell * kWidth + part;
      for (int k = 0; k < Cell::kVectors; ++k) {
        const Four values = load(v + 4 * k);
        to.products[part][k] = values * wx_[i];
        to.squares[part][k] = values * values * w_[i];
      }
    }
  }

  static Sums sums_of(const Cell& cell, const GridChoice& choice) {
    Sums sums;
    for (unsigned part = 0; part < 4; ++part) {
      sums.add({Cell::at(cell.products[part], choice.part(part)),
                Cell::at(cell.squares[part], choice.part(part))});
    }
    return sums;
  }

  // The cost if every weight had the best code, be it of a grid's entry or not.
  float free_cost(int subgroup, int shift, float scale) const {
    Four cost = {};
    for (int i = subgroup * traits_.subgroup; i < (subgroup + 1) * traits_.subgroup; i += 4) {
      const Four square = load(w_ + i) * (scale * scale), twice = load(wx_ + i) * (2 * scale);
      Four least = values_[shift][0] * (values_[shift][0] * square - twice);
      for (unsigned code = 1; code < kCodes; ++code) {
        const Four other = values_[shift][code] * (values_[shift][code] * square - twice);
        least = other < least ? other : least;
      }
      cost += least;
    }
    return total(cost);
  }

  float rms(int subgroup) const {
    Four squares = {}, count = {};
    for (int i = subgroup * traits_.subgroup; i < (subgroup + 1) * traits_.subgroup; i += 4) {
      squares += load(w_ + i) * load(x_ + i) * load(x_ + i);
      count += load(w_ + i);
    }
    return std::sqrt(total(squares) / total(count));
  }

  float best_free_scale(int subgroup, float typical) const {
    float scale = typical * kFirstScale, best = 0, least = 0;
    for (int i = 0; i < kFreeScales; ++i, scale *= kScaleStep) {
      for (int shift = 0; shift < (has_shifts() ? 2 : 1); ++shift) {
        const float cost = free_cost(subgroup, shift, scale);
        if (!(cost < least)) continue;
        least = cost;
        best = scale;
      }
    }
    return best;
  }

  // The best entry of a cell, if it costs less than `bound`. What it had before costs something, too.
  float search(int shift, int cell, float scale, float bound) {
    GridChoice& choice = choices_[shift][cell];
    choice.cost = std::min(bound, sums_of(cells_[shift][cell], choice).cost(scale));
    index_.improve(cells_[shift][cell], scale, choice);
    return choice.cost;
  }

  // The best entries of a subgroup, and its sums with them.
  Sums search(int subgroup, float scale) {
    constexpr float kNever = 1e30F;
    const int first = subgroup * cells(), end = first + cells();
    bool& of_subgroup = shift_of_subgroup_[subgroup];
    if (rules_.upper_bit == UpperBit::shift_of_subgroup && sums_[subgroup].vv == 0) {
      float costs[2] = {};
      for (int shift = 0; shift < 2; ++shift) {
        for (int cell = first; cell < end; ++cell) costs[shift] += search(shift, cell, scale, kNever);
      }
      of_subgroup = costs[1] < costs[0];
    }
    Sums sums;
    for (int cell = first; cell < end; ++cell) {
      const float cost = search(of_subgroup ? 1 : 0, cell, scale, kNever);
      bool shifted = of_subgroup;
      if (rules_.upper_bit == UpperBit::shift_of_entry) shifted = search(1, cell, scale, cost) < cost;
      const int shift = shifted ? 1 : 0;
      found_[cell] = {choices_[shift][cell].parts, shifted};
      sums.add(sums_of(cells_[shift][cell], choices_[shift][cell]));
    }
    return sums;
  }

  void fit_subgroup(int subgroup) {
    float most = 0;
    const auto attempt = [&](float scale) {
      const Sums sums = search(subgroup, scale);
      const float gain = sums.xv / sums.vv * sums.xv;
      if (!(sums.xv > 0) || !(gain > most)) return;
      most = gain;
      scales_[subgroup] = sums.xv / sums.vv;
      sums_[subgroup] = sums;
    };
    const float size = rms(subgroup);
    if (size == 0) return;
    const float free = best_free_scale(subgroup, size / rules_.typical);
    for (const float part : kTriedScales) attempt(free * part);
    // All lowest codes are an entry of every grid. Where weights are much alike, nothing comes near to it.
    const float lowest = size / std::abs(values_[0][0]);
    if (free_cost(subgroup, 0, lowest) < -most) attempt(lowest);
  }

  // As it will be in the file.
  float rounded(float scale) const {
    const float in_file = std::ldexp(scale, exponent_) / rules_.unit;
    return std::ldexp(half_to_float(float_to_half(in_file)) * rules_.unit, -exponent_);
  }

  // An odd integer.
  int nearest_multiple(float part, float whole) const {
    const int steps = traits_.largest_subscale / 2;
    const auto highest = static_cast<float>(steps);
    return 2 * static_cast<int>(min2(max2(part / whole / 2, 0), highest)) + 1;
  }

  // Zero, if f16 has none that is as small; infinite, if none is as large.
  float choose_group_scale() const {
    const float unit =
        *std::max_element(scales_, scales_ + subgroups()) / static_cast<float>(traits_.largest_subscale);
    float best = rounded(unit), least = 0;
    bool found = false;
    for (int i = 0; i < kGroupScales; ++i) {
      const float scale = rounded(unit * (kFirstGroupScale + kGroupScaleStep * static_cast<float>(i)));
      if (scale == 0 || !std::isfinite(scale)) continue;
      float cost = 0;
      for (int s = 0; s < subgroups(); ++s) {
        const float off = scale * static_cast<float>(nearest_multiple(scales_[s], scale)) - scales_[s];
        cost += off * off * sums_[s].vv;
      }
      if (found && !(cost < least)) continue;
      found = true;
      least = cost;
      best = scale;
    }
    return best;
  }

  // What a group's scale is to be multiplied with so that its weights are as large as they were; or most of that.
  float growth(float scale) const {
    double before = 0, after = 0;
    for (int i = 0; i < kGroup; ++i) before += static_cast<double>(w_[i]) * x_[i] * x_[i];
    for (int s = 0; s < subgroups(); ++s) {
      after += static_cast<double>(scale) * to_.subscales[s] * sums_[s].xv;
    }
    return after > 0 ? 1 + kGrowth * (std::min(static_cast<float>(before / after), kMostGrowth) - 1) : 1;
  }

  // The better of a multiple and that neighbour to which its entries point.
  void choose_subscale(int subgroup, float group_scale, int multiple) {
    const auto try_multiple = [&](int of) { return search(subgroup, group_scale * static_cast<float>(of)); };
    sums_[subgroup] = try_multiple(multiple);
    to_.subscales[subgroup] = static_cast<std::int8_t>(multiple);
    take_entries(subgroup);
    const float scale = group_scale * static_cast<float>(multiple);
    const int other = multiple + (sums_[subgroup].xv > scale * sums_[subgroup].vv ? 2 : -2);
    if (other < 1 || other > traits_.largest_subscale) return;
    const Sums sums = try_multiple(other);
    if (!(sums.cost(group_scale * static_cast<float>(other)) < sums_[subgroup].cost(scale))) return;
    sums_[subgroup] = sums;
    to_.subscales[subgroup] = static_cast<std::int8_t>(other);
    take_entries(subgroup);
  }
  void take_entries(int subgroup) {
    std::copy_n(found_ + subgroup * cells(), cells(), taken_ + subgroup * cells());
  }

  unsigned code_of(int i) const {
    const unsigned parts = taken_[i / kWidth].parts;
    const auto at = static_cast<unsigned>(i % kWidth);
    if (Values == 8) return parts >> 4 * at & 15U;
    const unsigned pair = parts >> at / 2 * 4 & 15U;
    return at % 2 == 0 ? pair % 3 : pair / 3;
  }

  // With a subgroup's entries at hand it may be another weight that loses least by a sign that it has not.
  void choose_odd_ones(int subgroup) {
    const int end = (subgroup + 1) * traits_.subgroup;
    for (int first = subgroup * traits_.subgroup; first < end; first += 8) {
      const int old = odd_one_[first / 8];
      if (old == kNone) continue;
      const auto loss = [this](int i) { return std::abs(wx_[i]) * values_[0][code_of(i)]; };
      int best = old;
      for (int i = first; i < first + 8; ++i) best = loss(i) < loss(best) ? i : best;
      if (best == old) continue;
      for (const int i : {old, best}) {
        change_sign(i);
        fill_part(0, i / kWidth, i % kWidth * 4 / kWidth);
      }
      odd_one_[first / 8] = best;
    }
  }

  void store_codes() {
    for (int i = 0; i < kGroup; ++i) {
      const bool upper = has_shifts() ? taken_[i / kWidth].shifted : negative_[i];
      to_.codes[i] = byte_of(code_of(i) | (upper ? 1U << kUpperBit : 0U));
    }
  }

  static constexpr int kNone = -1;
  struct Entry {
    std::uint16_t parts = 0;  // as of GridChoice
    bool shifted = false;
  };

  const FormatTraits& traits_;
  const GridRules rules_;
  const GridIndex<Values>& index_;
  Group& to_;
  alignas(16) float values_[2][8] = {};  // of codes, moved to the one side and the other
  int exponent_ = 0;
  // Weights, their importance, and the product of both, which has the sign that a weight is to have.
  float x_[kGroup], w_[kGroup], wx_[kGroup];
  bool negative_[kGroup];
  int odd_one_[kGroup / 8] = {};  // of each eight weights, the one whose sign is not its own, or kNone
  Cell cells_[2][kCells];
  GridChoice choices_[2][kCells];
  Entry found_[kCells], taken_[kCells];
  bool shift_of_subgroup_[Group::kMostSubgroups] = {};
  float scales_[Group::kMostSubgroups] = {};
  Sums sums_[Group::kMostSubgroups];
};

}  // namespace

void quantize_by_grid(const FormatTraits& traits, const float* x, const float* importance, Group& to) {
  if (traits.entry == 8) return GridQuantizer<9>(traits, to).quantize(x, importance);
  GridQuantizer<8>(traits, to).quantize(x, importance);
}

}  // namespace llamajit::jit
