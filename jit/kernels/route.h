// Key, Args and contract of the choice of experts.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "jit/base/fields.h"
#include "jit/base/lanes.h"

namespace llamajit::jit {

// How a router's logits become weights (arXiv:2101.03961, 2401.04088, 2412.19437).
enum class Gating : std::uint8_t {
  softmax,            // over all experts
  sigmoid,            // of each alone
  softmax_of_chosen,  // over the chosen ones; the choice is by the logits
};
std::string_view to_string(Gating gating);  // "softmax_of_chosen"

// What stands beside the experts that are chosen.
enum class SharedExpert : std::uint8_t {
  none,
  plain,  // with a weight of 1
  gated,  // sigmoid(shared_logit)
};
std::string_view to_string(SharedExpert shared);

// Chooses `used` of `experts` experts for a token. p = the gating of the logits: softmax as SoftmaxKey has
// it; sigmoid 1 / (1 + exp(-x)); softmax_of_chosen the logits themselves. By c = max(p + bias, the lowest
// float), each step rounded, so that NaN is the lowest, the largest are chosen, of equal ones those with the
// lowest ids. Of several groups (arXiv:2412.19437) only experts of those are chosen whose two largest c have
// the largest sums, or by_best whose largest c is the largest (arXiv:2405.04434), of equal ones the first; c of the others is the lowest float. ids are in ascending order, and weights with them: w = p[ids], or their softmax; where the key
// renormalises, w / their sum (sixteen lanes in order, folded in halves); then w * scale, and that times the
// expert's own scale where experts have them. A shared expert's weight comes behind them.
struct RouteArgs {
  const float* logits;
  const float* bias;
  const float* shared_logit;
  std::int32_t* ids;
  float* weights;
  float* scratch;
  const float* scales = nullptr;

  static constexpr auto fields() {
    return Fields{
        field<&RouteArgs::logits>("(experts)"),
        field<&RouteArgs::bias>("(experts), where biased; changes the choice alone"),
        field<&RouteArgs::shared_logit>("(1), where a shared expert is gated"),
        field<&RouteArgs::ids>("(used)"),
        field<&RouteArgs::weights>("(slots() of the key)"),
        field<&RouteArgs::scratch>("scratch_floats() of the key"),
        field<&RouteArgs::scales>("(experts), where each has one"),
    };
  }
};
struct RouteKey {
  using Args = RouteArgs;
  int experts;
  int used;  // 1..experts
  Gating gating = Gating::softmax;
  bool renormalises = false;
  bool biased = false;
  float scale = 1;
  SharedExpert shared = SharedExpert::none;
  int groups = 1;       // of equally many experts, each of two at least where there are several
  int groups_used = 1;  // that together have `used` experts or more
  bool scaled = false;
  bool by_best = false;                               // groups are chosen
  auto operator<=>(const RouteKey&) const = default;  // NOLINT: clang-tidy 14 compares bools as ints

  static constexpr auto fields() {
    return fields_of<&RouteKey::experts, &RouteKey::used, &RouteKey::gating, &RouteKey::renormalises,
                     &RouteKey::biased, &RouteKey::scale, &RouteKey::shared, &RouteKey::groups,
                     &RouteKey::groups_used, &RouteKey::scaled, &RouteKey::by_best>();
  }

  int slots() const { return used + (shared == SharedExpert::none ? 0 : 1); }
  bool chooses_groups() const { return groups_used < groups; }
  std::int64_t scratch_floats() const {
    return 2 * round_up(experts, kLanes) + round_up(used, kLanes) +
           (chooses_groups() ? round_up(groups, kLanes) : 0);
  }
};

}  // namespace llamajit::jit
