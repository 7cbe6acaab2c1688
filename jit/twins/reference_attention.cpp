// The twins of the attention kernels.
#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <limits>

#include "jit/base/scalar_math.h"
#include "jit/base/unaligned.h"
#include "jit/kernels/kv_layout.h"
#include "jit/twins/reference.h"

namespace llamajit::jit {
namespace {

// q . (the key at a position), scaled and capped
float score(const ScoreKey& key, const KvLayout& layout, const float* q, const std::byte* keys,
            std::int64_t pos) {
  float sum = 0;
  for (int block = 0; block < layout.blocks(); ++block) {
    const int begin = block * layout.block_dims();
    const int end = std::min(begin + layout.block_dims(), layout.head_dim);
    float ways[2] = {};
    for (int d = begin; d < end; ++d) {
      ways[d % 2] = fused(layout.element(keys + layout.key_at(pos, d)), q[d], ways[d % 2]);
    }
    const float block_sum = tree_sum(ways, 2);
    sum = layout.scaled() ? fused(block_sum, read_at<float>(keys + layout.key_scale_at(pos, block)), sum)
                          : block_sum;
  }
  const float scaled = sum * key.factor(layout.head_dim);
  return key.cap > 0 ? capped(scaled, key.cap) : scaled;
}

// Bytes from a page's first to a K/V head's keys and values.
struct Head {
  std::int64_t keys_at, values_at;
};

// One range of a K/V head as a token that sees [first, pos] sees it, and the weights of the positions that take part,
// [first, first + n) of the page; sixteen zeros lie behind them. With them count the positions up to `last`, that of the
// step's last token.
class Range {
 public:
  Range(const AttentionKey& attention_key, const Cursor& at, const Head& head, std::int64_t range,
        std::int64_t first, std::int64_t pos, std::int64_t last, float* scratch)
      : key_(attention_key),
        keys_(at.pages[range] + head.keys_at),
        values_(at.pages[range] + head.values_at),
        weights_(scratch),
        range_begin_(range * kAttentionRange) {
    const std::int64_t begin = range_begin_;
    const auto end_of = [&](std::int64_t at_last) {
      return static_cast<int>(std::min<std::int64_t>(at_last + 1 - begin, kAttentionRange));
    };
    const auto seen = static_cast<int>(std::max<std::int64_t>(first - begin, 0));
    unseen_ = seen % kLanes;
    first_ = seen - unseen_;
    n_ = end_of(pos) - first_;
    n_summed_ = static_cast<int>(round_up(end_of(last) - first_, key_.value_ways()));
  }

  // `slope` of a head, and `own`, the token's position, where the key has slopes.
  Exponentials begin(const float* q, float slope = 0, std::int64_t own = 0) {
    for (int i = 0; i < round_up(n_, kLanes); ++i) {
      weights_[i] = score(key_.scores, layout_, q, keys_, first_ + i);
      if (!key_.slopes) continue;
      const auto distance = static_cast<float>(std::abs(range_begin_ + first_ + i - own));
      weights_[i] = fused(distance, slope, weights_[i]);
    }
    std::fill_n(weights_, unseen_, -std::numeric_limits<float>::infinity());
    const Exponentials result = exponentials(weights_, n_);
    std::fill_n(weights_, unseen_, 0.0F);
    return result;
  }

  // o[d] of the contract
  float weighted_sum(int d) const {
    const int ways = key_.value_ways();
    float acc[4] = {};
    for (int i = 0; i < n_summed_; ++i) {
      float weight = weights_[i];
      if (layout_.scaled()) {
        weight *= read_at<float>(values_ + layout_.value_scale_at(first_ + i, d / layout_.block_dims()));
      }
      acc[i % ways] =
          fused(weight, layout_.element(values_ + layout_.value_at(first_ + i, d)), acc[i % ways]);
    }
    return tree_sum(acc, ways);
  }

 private:
  const AttentionKey& key_;
  const KvLayout layout_{key_};
  const std::byte* keys_;
  const std::byte* values_;
  float* weights_;
  std::int64_t range_begin_;
  int first_ = 0, n_ = 0;
  int n_summed_ = 0;  // those that are not seen have a weight of 0
  int unseen_ = 0;    // so many of these lie before the window
};

// One query head's out, in which ranges come together in ascending order.
class Merged {
 public:
  Merged(int head_dim, float* out) : head_dim_(head_dim), out_(out) {}

  // A range's m and l, and its o[d] as a function of d.
  template <class WeightedSum>
  void add(const Exponentials& range, WeightedSum o) {
    if (empty_) {
      empty_ = false;
      all_ = range;
      for (int d = 0; d < head_dim_; ++d) out_[d] = o(d);
      return;
    }
    const float maximum = max2(all_.maximum, range.maximum);
    const float before = exp_f32(all_.maximum - maximum);
    const float factor = exp_f32(range.maximum - maximum);
    all_ = {maximum, fused(range.sum, factor, all_.sum * before)};
    for (int d = 0; d < head_dim_; ++d) out_[d] = fused(o(d), factor, out_[d] * before);
  }

  // With a sink, or none.
  void finish(const float* sink) {
    float scale = 1.0F, sum = all_.sum;
    if (sink != nullptr) {
      const float maximum = max2(all_.maximum, *sink);
      scale = exp_f32(all_.maximum - maximum);
      sum = fused(sum, scale, exp_f32(*sink - maximum));
    }
    scale /= sum;
    for (int d = 0; d < head_dim_; ++d) out_[d] = fused(out_[d], scale, 0.0F);
  }

 private:
  int head_dim_;
  float* out_;
  bool empty_ = true;
  Exponentials all_{};  // m and l
};

std::int64_t range_of(std::int64_t pos) {
  return pos / kAttentionRange;
}

// The record of range r of a query head.
template <class Float>
Float* record_at(Float* records, std::int64_t head, std::int64_t r, int ranges, int head_dim) {
  return records + (head * ranges + r) * attention_record(head_dim);
}

}  // namespace

void reference(const AttentionKey& key, const AttentionArgs& args) {
  assert(key.window == 0 || key.tokens == 1);
  const KvLayout layout(key);
  const std::int64_t heads = args.n_kv_heads * key.group;
  for (std::int64_t i = 0; i < key.tokens * heads; ++i) {
    const std::int64_t token = i / heads;
    const std::int64_t kv_head = i % heads / key.group;
    const std::int64_t query = token * key.token_stride + i % heads * key.head_dim;
    const std::int64_t pos = args.at->pos + (key.causal ? token : 0);
    const std::int64_t last = args.at->pos + (key.causal ? key.tokens - 1 : 0);
    const Head head{args.keys_at + kv_head * layout.keys_bytes(),
                    args.values_at + kv_head * layout.values_bytes()};
    Merged out(key.head_dim, args.out + query);
    const std::int64_t first = first_seen(key, *args.at);  // windows have one token
    for (std::int64_t r = range_of(first); r <= range_of(pos); ++r) {
      Range range(key, *args.at, head, r, first, pos, last, args.scratch);
      const float slope = key.slopes ? args.slopes[i % heads] : 0.0F;
      const Exponentials here = range.begin(args.q + query, slope, args.at->own + token);
      out.add(here, [&](int d) { return range.weighted_sum(d); });
    }
    out.finish(key.sinks ? args.sinks + i % heads : nullptr);
  }
}

void reference(const AttentionRangesKey& key, const AttentionRangesArgs& args) {
  const AttentionKey whole = key.whole();
  const std::int64_t pos = args.at->pos, first = first_seen(args.at->pos, key.window);
  for (std::int64_t r = range_of(pos) - args.part; r >= range_of(first); r -= args.parts) {
    Range range(whole, *args.at, {args.keys_at, args.values_at}, r, first, pos, pos, args.scratch);
    for (int head = 0; head < key.group; ++head) {
      float* const out = record_at(args.records, head, r, key.ranges, key.head_dim);
      const Exponentials here = range.begin(args.q + head * key.head_dim);
      for (int d = 0; d < key.head_dim; ++d) out[d] = range.weighted_sum(d);
      float* const behind = out + round_up(key.head_dim, kLanes);
      behind[0] = here.maximum;
      behind[1] = here.sum;
    }
  }
}

void reference(const AttentionMergeKey& key, const AttentionMergeArgs& args) {
  const std::int64_t pos = args.at->pos;
  for (std::int64_t head = 0; head < args.n_heads; ++head) {
    Merged out(key.head_dim, args.out + head * key.head_dim);
    for (std::int64_t r = range_of(first_seen(args.at->pos, key.window)); r <= range_of(pos); ++r) {
      const float* record = record_at(args.records, head, r, key.ranges, key.head_dim);
      const float* behind = record + round_up(key.head_dim, kLanes);
      out.add({behind[0], behind[1]}, [&](int d) { return record[d]; });
    }
    out.finish(key.sinks ? args.sinks + head : nullptr);
  }
}

}  // namespace llamajit::jit
