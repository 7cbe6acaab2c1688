// Who attends to which head.
#pragma once

#include <cstdint>

#include "jit/base/lanes.h"
#include "runtime/base/split.h"
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

// Whether ranks have heads of their own of a layer. A latent vector is one head, and a delta net has none: each rank
// computes all of these.
inline bool splits_heads(const LayerShape& shape) {
  return !shape.is_latent() && !shape.is_linear();
}
// The K/V heads that a rank attends to.
inline Split::Part own_heads(const LayerShape& shape, const Split& split) {
  return splits_heads(shape) ? split.own(shape.n_kv_heads) : Split::Part{0, shape.n_kv_heads};
}

// A layer's K/V heads, those that the rank has, dealt out evenly to the threads of a team.
class HeadDeal {
 public:
  HeadDeal(const LayerShape& shape, int threads, const Split& split = {})
      : own_(own_heads(shape, split)),
        heads_(static_cast<int>(own_.second - own_.first)),
        head_dim_(shape.head_dim()),
        threads_(threads) {}

  HeadShare of(int thread) const {
    if (threads_ <= heads_ || heads_ == 0) {
      const auto [begin, end] = share_of(heads_, thread, threads_);
      return {own_.first + begin, own_.first + end, 0, 1};
    }
    int head = 0;
    while (share_of(threads_, head, heads_).second <= thread) ++head;
    const auto [first, last] = share_of(threads_, head, heads_);
    return {own_.first + head, own_.first + head + 1, static_cast<int>(thread - first),
            static_cast<int>(last - first)};
  }
  // Those of all threads.
  const Split::Part& own() const { return own_; }
  // Whether several threads attend to a head.
  bool shares_heads() const { return threads_ > heads_ && heads_ > 0; }
  // Whether the deal is also one of whole tiles of q, k and v, so that each thread can attend with the rows
  // that it has computed itself.
  bool fits_tiles() const {
    return threads_ == 1 || (heads_ % threads_ == 0 && heads_ / threads_ * head_dim_ % jit::kLanes == 0 &&
                             own_.first * head_dim_ % jit::kLanes == 0);
  }

 private:
  Split::Part own_;
  int heads_;  // so many
  int head_dim_;
  int threads_;
};

}  // namespace llamajit
