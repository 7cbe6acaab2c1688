#include "runtime/mix/mix_choice.h"

#include <algorithm>

namespace llamajit {
namespace {

struct Upgrade {
  std::size_t matrix = 0, option = 0;
  double worth = 0;  // loss saved for a byte
};

}  // namespace

// From the smallest options on, always the step that saves the most loss for a byte among those for which there is
// room. Such steps lead along the lower convex hull of a matrix's options, which is what Lagrange's multiplier for the
// bytes would choose; near the limit, smaller steps fill what is left.
std::optional<std::vector<std::size_t>> choose_mix(std::span<const std::vector<MixOption>> matrices,
                                                   std::uint64_t most) {
  std::vector<std::size_t> chosen;
  std::uint64_t bytes = 0;
  for (const std::vector<MixOption>& options : matrices) {
    const auto least = std::ranges::min_element(options, [](const MixOption& a, const MixOption& b) {
      return a.bytes != b.bytes ? a.bytes < b.bytes : a.loss < b.loss;
    });
    chosen.push_back(static_cast<std::size_t>(least - options.begin()));
    bytes += least->bytes;
  }
  if (bytes > most) return std::nullopt;
  for (;;) {
    Upgrade best;
    for (std::size_t i = 0; i < matrices.size(); ++i) {
      const MixOption& now = matrices[i][chosen[i]];
      for (std::size_t j = 0; j < matrices[i].size(); ++j) {
        const MixOption& then = matrices[i][j];
        // None has fewer bytes and a smaller loss: the smallest came first, and no step passed one by.
        if (then.bytes <= now.bytes || then.loss >= now.loss || then.bytes - now.bytes > most - bytes)
          continue;
        const double worth = (now.loss - then.loss) / static_cast<double>(then.bytes - now.bytes);
        if (worth > best.worth) best = {i, j, worth};
      }
    }
    if (best.worth == 0) return chosen;
    bytes += matrices[best.matrix][best.option].bytes - matrices[best.matrix][chosen[best.matrix]].bytes;
    chosen[best.matrix] = best.option;
  }
}

}  // namespace llamajit
