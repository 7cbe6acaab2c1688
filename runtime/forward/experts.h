// Which rows of a step go to which experts, and the products with experts' matrices.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "jit/kernels/matmul.h"
#include "jit/kernels/matvec.h"
#include "jit/kernels/route.h"
#include "runtime/base/deal.h"
#include "runtime/forward/target.h"

namespace llamajit {

// A thread's view of a layer's choices: each row has chosen some experts, and those of an expert stand
// together, one behind the other, as rows of the experts' own inputs and results. Every thread sorts for
// itself, which takes less than to wait for one that does.
class ExpertTable {
 public:
  // An expert that some row has chosen: its rows stand at [first, first + rows).
  struct Chosen {
    int expert;
    std::int64_t first;
    std::int64_t rows;
  };
  struct Place {
    std::int64_t row;       // of the step
    std::int64_t position;  // among the experts' rows
  };
  // Where the choices are, and the results of experts, of each row by position, and of the shared one, by row.
  struct Memory {
    const std::int32_t* ids = nullptr;  // (rows, used), ascending in each row
    const float* results = nullptr;
    std::int64_t result_stride = 0;  // floats
    const float* shared_results = nullptr;
    std::int64_t shared_stride = 0;
  };

  ExpertTable(const jit::RouteKey& route, int most_rows, const Memory& memory);

  // Positions that so many rows may take: several of an expert begin where kernels may write whole blocks.
  static std::int64_t most_positions(const jit::RouteKey& route, int most_rows);
  static std::int64_t most_chosen(const jit::RouteKey& route, int most_rows) {
    return std::min<std::int64_t>(route.experts, std::int64_t{most_rows} * route.used);
  }

  // Of the first `rows` rows.
  void sort(std::int64_t rows);

  int used() const { return route_.used; }
  std::span<const Chosen> chosen() const { return chosen_; }  // by ascending expert
  std::span<const Place> places() const { return places_; }   // by ascending position
  // (rows, slots): a row's results by ascending expert, then the shared one's.
  const float* const* results() const { return results_.data(); }

 private:
  jit::RouteKey route_;
  Memory memory_;
  std::vector<std::int64_t> counts_;  // of each expert, then where its next row goes
  std::vector<Chosen> chosen_;
  std::vector<Place> places_;
  std::vector<const float*> results_;
};

// Args of products with the first expert's matrix, for its rows from position 0 on, and how they follow.
struct ExpertProduct {
  Deal* deal = nullptr;
  std::int64_t first_unit = 0;    // of a matrix: of those that are here
  std::int64_t units = 0;         // so many of each
  std::int64_t matrix_bytes = 0;  // from one expert's to the next one's
  // From a position's row to the next one's; 0 where all share an input.
  std::int64_t x_stride = 0, codes_stride = 0, groups_stride = 0, subgroups_stride = 0;
  std::int64_t out_stride = 0;
  std::int64_t bias_stride = 0;  // from one expert's to the next one's
  // Kernels for up to so many rows, and for more.
  static constexpr std::array<int, 4> kCounts{1, 4, 8, 16};
  std::array<Target, kCounts.size()> few{};
  jit::MatvecArgs few_args{};
  Target many{};
  jit::MatmulArgs many_args{};

  // Of prepared inputs, that of a position.
  jit::QuantizedArgs prepared_at(const jit::QuantizedArgs& first, std::int64_t position) const {
    return {first.codes + position * codes_stride, first.scales + position * groups_stride,
            first.offsets + position * subgroups_stride, first.sums + position * groups_stride,
            first.subsums + position * subgroups_stride};
  }
  // Calls call(target, args) for the units of one expert.
  template <class Call>
  void multiply(const ExpertTable::Chosen& chosen, const Deal::Range& range, Call call) const {
    const auto* const count = std::ranges::lower_bound(kCounts, chosen.rows);
    if (count != kCounts.end() && few[static_cast<std::size_t>(count - kCounts.begin())].kernel != nullptr) {
      const jit::MatvecArgs args = moved(few_args, chosen, range);
      return call(few[static_cast<std::size_t>(count - kCounts.begin())], &args);
    }
    jit::MatmulArgs args = moved(many_args, chosen, range);
    args.n_tokens = chosen.rows;
    call(many, &args);
  }
  // The same for all units that this thread is dealt.
  template <class Call>
  void multiply_dealt(std::span<const ExpertTable::Chosen> chosen, int thread, std::int64_t walk,
                      Call call) const {
    for (Deal::Range all = deal->next(thread, walk); !all.empty(); all = deal->next(thread, walk)) {
      while (!all.empty()) {
        const std::int64_t expert = all.begin / units, first = expert * units;
        if (expert >= std::ssize(chosen)) break;  // fewer were chosen than may be
        const std::int64_t end = std::min(all.end, first + units);
        const std::int64_t unit_0 = first - first_unit;
        multiply(chosen[static_cast<std::size_t>(expert)], {all.begin - unit_0, end - unit_0}, call);
        all.begin = end;
      }
    }
  }
  void link();

 private:
  template <class Args>
  Args moved(Args args, const ExpertTable::Chosen& chosen, const Deal::Range& range) const {
    args.w += chosen.expert * matrix_bytes;
    if (args.x != nullptr) args.x += chosen.first * x_stride;
    if (args.xq.codes != nullptr) args.xq = prepared_at(args.xq, chosen.first);
    args.out += chosen.first * out_stride;
    if (args.bias != nullptr) args.bias += chosen.expert * bias_stride;
    args.unit_begin = range.begin;
    args.unit_end = range.end;
    return args;
  }
};

}  // namespace llamajit
