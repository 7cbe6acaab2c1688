// The units of a matrix, dealt out to threads while they work.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>

#include "runtime/base/team.h"

namespace llamajit {

// Each thread has a share of its own, and takes it a portion at a time, from the front. Who is through helps
// those who are not: a core that the system or its neighbours slow down would otherwise keep all others
// waiting at the next barrier. Which thread multiplies a row changes no bit of the result.
//
// One deal serves round after round, separated by barriers. Nothing is ever reset: the counters grow, and
// each round has its own stretch of them.
class Deal {
 public:
  struct Range {
    std::int64_t begin, end;
    bool empty() const { return begin == end; }
  };

  // Of units [first, first + units).
  Deal(std::int64_t units, std::int64_t portion, int threads, std::int64_t first = 0)
      : portion_(portion), threads_(threads), shares_(new Share[static_cast<std::size_t>(threads)]) {
    for (int t = 0; t < threads; ++t) {
      Share& share = shares_[static_cast<std::size_t>(t)];
      const auto [begin, end] = share_of(units, t, threads);
      share.begin = first + begin;
      share.end = first + end;
      share.portions = (end - begin + portion - 1) / portion;
    }
  }

  // The next units for this thread; empty when all have been given out. `round` counts from 0 and is the same
  // for all threads until the next barrier.
  Range next(int thread, std::int64_t round) {
    for (int i = 0; i < threads_; ++i) {
      Share& share = shares_[static_cast<std::size_t>((thread + i) % threads_)];
      const std::int64_t first = round * share.portions;
      std::int64_t taken = share.taken.load(std::memory_order_relaxed);
      while (taken < first + share.portions) {
        if (!share.taken.compare_exchange_weak(taken, taken + 1, std::memory_order_relaxed)) continue;
        const std::int64_t begin = share.begin + (taken - first) * portion_;
        return {begin, std::min(begin + portion_, share.end)};
      }
    }
    return {0, 0};
  }

 private:
  struct alignas(64) Share {
    std::int64_t begin = 0, end = 0;
    std::int64_t portions = 0;
    std::atomic<std::int64_t> taken{0};  // portions, in all rounds
  };

  std::int64_t portion_;
  int threads_;
  std::unique_ptr<Share[]> shares_;
};

}  // namespace llamajit
