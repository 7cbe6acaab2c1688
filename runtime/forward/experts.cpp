#include "runtime/forward/experts.h"

#include "jit/base/lanes.h"

namespace llamajit {
namespace {

// Where an expert's rows begin: kernels for several rows write as many, whether they mean something or not.
std::int64_t places_of(std::int64_t rows) {
  return rows == 1 ? 1 : jit::round_up(rows, ExpertProduct::kCounts.back());
}

}  // namespace

ExpertTable::ExpertTable(const jit::RouteKey& route, int most_rows, const Memory& memory)
    : route_(route), memory_(memory), counts_(static_cast<std::size_t>(route.experts)) {
  results_.resize(static_cast<std::size_t>(most_rows) * static_cast<std::size_t>(route.slots()));
  places_.reserve(static_cast<std::size_t>(most_rows) * static_cast<std::size_t>(route.used));
  chosen_.reserve(static_cast<std::size_t>(most_chosen(route, most_rows)));
}

std::int64_t ExpertTable::most_positions(const jit::RouteKey& route, int most_rows) {
  if (most_rows == 1) return route.used;
  return std::int64_t{most_rows} * route.used +
         most_chosen(route, most_rows) * (ExpertProduct::kCounts.back() - 1);
}

void ExpertTable::sort(std::int64_t rows) {
  std::ranges::fill(counts_, 0);
  for (std::int64_t i = 0; i < rows * route_.used; ++i) ++counts_[static_cast<std::size_t>(memory_.ids[i])];
  chosen_.clear();
  std::int64_t at = 0;
  for (int expert = 0; expert < route_.experts; ++expert) {
    std::int64_t& count = counts_[static_cast<std::size_t>(expert)];
    if (count == 0) continue;
    chosen_.push_back({expert, at, count});
    at += places_of(std::exchange(count, at));
  }
  places_.clear();
  const std::size_t slots = static_cast<std::size_t>(route_.slots());
  for (std::int64_t row = 0; row < rows; ++row) {
    const float** const results = &results_[static_cast<std::size_t>(row) * slots];
    for (int slot = 0; slot < route_.used; ++slot) {
      const auto expert = static_cast<std::size_t>(memory_.ids[row * route_.used + slot]);
      const std::int64_t position = counts_[expert]++;
      places_.push_back({row, position});
      results[slot] = memory_.results + position * memory_.result_stride;
    }
    if (route_.shared != jit::SharedExpert::none) {
      results[route_.used] = memory_.shared_results + row * memory_.shared_stride;
    }
  }
}

void ExpertProduct::link() {
  for (Target& target : few) target.link();
  many.link();
}

}  // namespace llamajit
