// Who attends to which head.
#pragma once

#include <cstdint>

#include "jit/base/lanes.h"
#include "runtime/base/team.h"
#include "runtime/model/config.h"

namespace llamajit {

// The K/V heads [begin, end) that a thread attends to. With more threads than heads it shares one head with
// others, as number `part` of `parts`.
struct HeadShare {
  std::int64_t begin, end;
  int part, parts;

  std::int64_t size() const { return end - begin; }
};

// A layer's K/V heads, dealt out evenly to the threads of a team.
class HeadDeal {
 public:
  HeadDeal(const LayerShape& shape, int threads)
      : heads_(shape.n_kv_heads), kv_dim_(shape.kv_dim()), threads_(threads) {}

  HeadShare of(int thread) const {
    if (threads_ <= heads_) {
      const auto [begin, end] = share_of(heads_, thread, threads_);
      return {begin, end, 0, 1};
    }
    int head = 0;
    while (share_of(threads_, head, heads_).second <= thread) ++head;
    const auto [first, last] = share_of(threads_, head, heads_);
    return {head, head + 1, static_cast<int>(thread - first), static_cast<int>(last - first)};
  }
  // Whether several threads attend to a head.
  bool shares_heads() const { return threads_ > heads_; }
  // Whether the deal is also one of whole tiles of q, k and v, so that each thread can attend with the rows
  // that it has computed itself.
  bool fits_tiles() const {
    return threads_ == 1 || (heads_ % threads_ == 0 && kv_dim_ / threads_ % jit::kLanes == 0);
  }

 private:
  int heads_;
  int kv_dim_;
  int threads_;
};

}  // namespace llamajit
