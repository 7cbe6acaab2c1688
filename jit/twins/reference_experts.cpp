// The twins of the kernels of mixtures of experts.
#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "jit/base/scalar_math.h"
#include "jit/twins/reference.h"

namespace llamajit::jit {
namespace {

// x, times 1 / the sum of its exponentials.
std::vector<float> softmax_of(std::vector<float> x) {
  const auto n = static_cast<int>(x.size());
  x.resize(x.size() + kLanes);
  const float inverse = 1.0F / exponentials(x.data(), n).sum;
  x.resize(static_cast<std::size_t>(n));
  for (float& value : x) value *= inverse;
  return x;
}

float sum_of_lanes(const std::vector<float>& x) {
  Lanes sum;
  for (std::size_t i = 0; i < x.size(); ++i) sum.v[i % kLanes] += x[i];
  return sum.fold_add();
}

// Leaves the experts of the groups that are not chosen the lowest float.
void keep_best_groups(const RouteKey& key, std::vector<float>& c) {
  constexpr float kLowest = std::numeric_limits<float>::lowest();
  const int size = key.experts / key.groups;
  std::vector<float> scores;
  for (int group = 0; group < key.groups; ++group) {
    float first = -kInfinity, second = -kInfinity;
    for (int i = group * size; i < (group + 1) * size; ++i) {
      const float x = c[static_cast<std::size_t>(i)];
      second = max2(min2(x, first), second);
      first = max2(x, first);
    }
    scores.push_back(max2(key.by_best ? first : first + second, kLowest));
  }
  for (int i = 0; i < key.groups_used; ++i) *std::ranges::max_element(scores) = -kInfinity;
  for (std::size_t i = 0; i < c.size(); ++i) {
    if (scores[i / static_cast<std::size_t>(size)] != -kInfinity) c[i] = kLowest;
  }
}

}  // namespace

void reference(const RouteKey& key, const RouteArgs& args) {
  std::vector<float> p(args.logits, args.logits + key.experts);
  if (key.gating == Gating::softmax) p = softmax_of(p);
  if (key.gating == Gating::sigmoid) std::ranges::transform(p, p.begin(), sigmoid);
  std::vector<float> c = p;
  for (std::size_t i = 0; i < c.size(); ++i) {
    c[i] = max2(key.biased ? p[i] + args.bias[i] : p[i], std::numeric_limits<float>::lowest());
  }
  if (key.chooses_groups()) keep_best_groups(key, c);
  for (int i = 0; i < key.used; ++i) *std::ranges::max_element(c) = -kInfinity;
  std::vector<float> weights;
  for (int expert = 0, at = 0; expert < key.experts; ++expert) {
    if (c[static_cast<std::size_t>(expert)] != -kInfinity) continue;
    args.ids[at++] = expert;
    weights.push_back(p[static_cast<std::size_t>(expert)]);
  }
  if (key.gating == Gating::softmax_of_chosen) weights = softmax_of(weights);
  const float sum = key.renormalises ? sum_of_lanes(weights) : 1;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    args.weights[i] = (key.renormalises ? weights[i] / sum : weights[i]) * key.scale;
    if (key.scaled) args.weights[i] *= args.scales[args.ids[i]];
  }
  if (key.shared == SharedExpert::plain) args.weights[key.used] = 1;
  if (key.shared == SharedExpert::gated) args.weights[key.used] = sigmoid(*args.shared_logit);
}

void reference(const MixKey& key, const MixArgs& args) {
  if (!key.adds) std::fill(args.out + args.begin, args.out + args.end, 0.0F);
  for (int v = 0; v < key.vectors; ++v) {
    for (std::int64_t i = args.begin; i < args.end; ++i) {
      const float product = args.x[v][i] * args.weights[v];
      args.out[i] = args.out[i] + product;
    }
  }
}

void reference(const CopyKey& key, const CopyArgs& args) {
  std::memcpy(args.out, args.x, static_cast<std::size_t>(key.n) * sizeof(float));
}

}  // namespace llamajit::jit
