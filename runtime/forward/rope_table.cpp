#include "runtime/forward/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace llamajit {
namespace {

// YaRN: how much of its own angle the pair keeps, 1 for fast rotations, 0 for slow ones, a ramp between.
double kept_share(const RopeConfig& config, int dims, int pair) {
  // The pair, not always a whole one, that turns this many times within the original context.
  const auto pair_of = [&](double turns) {
    return dims * std::log(config.original_context / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(static_cast<double>(config.theta)));
  };
  const double low = std::max(0.0, std::floor(pair_of(config.beta_fast)));
  const double high = std::min(dims - 1.0, std::ceil(pair_of(config.beta_slow)));
  return 1 - std::clamp((pair - low) / std::max(0.001, high - low), 0.0, 1.0);
}

std::vector<double> frequencies(const RopeConfig& config, int head_dim, int positions) {
  const int dims = !config.rotates ? 0 : config.dims > 0 ? config.dims : head_dim;
  const bool is_long = !config.long_divisors.empty() && positions > config.original_context;
  const std::vector<float>& divisors = is_long ? config.long_divisors : config.divisors;
  std::vector<double> result;
  for (int pair = 0; pair < dims / 2; ++pair) {
    double frequency = std::pow(config.theta, -2.0 * pair / dims);
    if (!divisors.empty()) frequency /= divisors[static_cast<std::size_t>(pair)];
    const double scaled = frequency / config.factor;
    switch (config.scaling) {
      case RopeConfig::Scaling::none:
        break;
      case RopeConfig::Scaling::linear:
        frequency = scaled;
        break;
      case RopeConfig::Scaling::yarn: {
        const double kept = kept_share(config, dims, pair);
        frequency = scaled * (1 - kept) + frequency * kept;
      }
    }
    result.push_back(frequency);
  }
  return result;
}

double magnitude(const RopeConfig& config) {
  const bool yarn = config.scaling == RopeConfig::Scaling::yarn && config.magnifies;
  return config.magnitude * (yarn ? 1 + 0.1 * std::log(static_cast<double>(config.factor)) : 1);
}

}  // namespace

RopeTable::RopeTable(int positions, int head_dim, const RopeConfig& config, bool grows)
    : memory_(static_cast<std::size_t>(positions) * 2 * static_cast<std::size_t>(head_dim) * sizeof(float),
              "RoPE table"),
      positions_(positions),
      head_dim_(head_dim),
      angles_(frequencies(config, head_dim, positions)),
      magnitude_(magnitude(config)),
      query_growth_(grows ? config.query_growth : 0),
      original_context_(config.original_context) {
  reach(std::min(positions, kAtOnce));
}

double RopeTable::growth(int pos) const {
  if (query_growth_ == 0) return 1;
  const int contexts = (pos + 1) / original_context_;
  return 1 + query_growth_ * std::log(1.0 + contexts);
}

// Some more than asked for, as a text goes on.
void RopeTable::fill(int positions) {
  constexpr int kAhead = 64;
  const int end = std::min(positions_, positions + kAhead);
  const auto dims = static_cast<int>(angles_.size()) * 2;
  float* cosine = reinterpret_cast<float*>(memory_.data()) + std::ptrdiff_t{2} * filled_ * head_dim_;
  for (int pos = filled_; pos < end; ++pos) {
    float* const sine = cosine + head_dim_;
    const double growth_here = growth(pos), magnitude_here = magnitude_ * growth_here;
    for (int i = 0; i < dims; i += 2) {
      const double angle = pos * angles_[static_cast<std::size_t>(i / 2)];
      cosine[i] = cosine[i + 1] = static_cast<float>(std::cos(angle) * magnitude_here);
      sine[i + 1] = static_cast<float>(std::sin(angle) * magnitude_here);
      sine[i] = -sine[i + 1];
    }
    std::fill(cosine + dims, cosine + head_dim_, static_cast<float>(growth_here));
    cosine += std::ptrdiff_t{2} * head_dim_;
  }
  filled_ = end;
}

RopeTables::RopeTables(int positions, const Config& config) {
  std::vector<const LayerShape*> shapes;  // that have tables of their own
  std::vector<OfLayer> of_shape;
  for (std::size_t i = 0; i < static_cast<std::size_t>(config.n_layers); ++i) {
    const LayerShape& shape = config.layer(i);
    const auto known = std::ranges::find_if(shapes, [&](const LayerShape* other) {
      return other->head_dim() == shape.head_dim() && other->rope == shape.rope;
    });
    const auto at = static_cast<std::size_t>(known - shapes.begin());
    if (known == shapes.end()) {
      shapes.push_back(&shape);
      const bool grows = shape.rope.query_growth != 0;
      of_shape.push_back({tables_.size(), tables_.size() + (grows ? 1 : 0)});
      tables_.emplace_back(positions, shape.head_dim(), shape.rope, false);
      if (grows) tables_.emplace_back(positions, shape.head_dim(), shape.rope, true);
    }
    of_layer_.push_back(of_shape[at]);
  }
}

}  // namespace llamajit
