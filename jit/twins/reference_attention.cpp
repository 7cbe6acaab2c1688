// The twins of the attention kernels.
#include <algorithm>
#include <cmath>

#include "jit/base/scalar_math.h"
#include "jit/base/unaligned.h"
#include "jit/kernels/kv_layout.h"
#include "jit/twins/reference.h"

namespace llamajit::jit {
namespace {

// q . (the key at a position) / sqrt(head_dim)
float score(const KvLayout& layout, const float* q, const std::byte* keys, std::int64_t pos) {
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
  return sum * (1.0F / std::sqrt(static_cast<float>(layout.head_dim)));
}

// The positions [first, first + n) of a range: their weights, of which sixteen zeros lie behind the last.
struct Range {
  const AttentionKey& key;
  const KvLayout layout{key};
  const std::byte* keys;
  const std::byte* values;
  float* weights;
  std::int64_t first = 0;
  int n = 0;

  Exponentials begin(const float* q, std::int64_t first_pos, int n_positions) {
    first = first_pos;
    n = n_positions;
    for (int i = 0; i < round_up(n, kLanes); ++i) weights[i] = score(layout, q, keys, first + i);
    return exponentials(weights, n);
  }

  // o[d] of the contract
  float weighted_sum(int d) const {
    const int ways = key.value_ways();
    float acc[4] = {};
    for (int i = 0; i < round_up(n, ways); ++i) {
      float weight = weights[i];
      if (layout.scaled()) {
        weight *= read_at<float>(values + layout.value_scale_at(first + i, d / layout.block_dims()));
      }
      acc[i % ways] = fused(weight, layout.element(values + layout.value_at(first + i, d)), acc[i % ways]);
    }
    return tree_sum(acc, ways);
  }
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

  void finish() {
    const float inverse = 1.0F / all_.sum;
    for (int d = 0; d < head_dim_; ++d) out_[d] = fused(out_[d], inverse, 0.0F);
  }

 private:
  int head_dim_;
  float* out_;
  bool empty_ = true;
  Exponentials all_{};  // m and l
};

}  // namespace

void reference(const AttentionKey& key, const AttentionArgs& args) {
  const KvLayout layout(key);
  const std::int64_t heads = args.n_kv_heads * key.group;
  for (std::int64_t i = 0; i < key.tokens * heads; ++i) {
    const std::int64_t token = i / heads;
    const std::int64_t kv_head = i % heads / key.group;
    const std::int64_t query = token * key.token_stride + i % heads * key.head_dim;
    Range range{.key = key,
                .keys = args.k_cache + kv_head * layout.keys_bytes(),
                .values = args.v_cache + kv_head * layout.values_bytes(),
                .weights = args.scratch};
    Merged out(key.head_dim, args.out + query);
    const int n_positions = args.at->pos + static_cast<int>(token) + 1;
    for (int first = 0; first < n_positions; first += kAttentionRange) {
      const int n = std::min(kAttentionRange, n_positions - first);
      const Exponentials here = range.begin(args.q + query, first, n);
      out.add(here, [&](int d) { return range.weighted_sum(d); });
    }
    out.finish();
  }
}

void reference(const AttentionRangesKey& key, const AttentionRangesArgs& args) {
  const AttentionKey whole = key.whole();
  Range range{.key = whole, .keys = args.k_cache, .values = args.v_cache, .weights = args.scratch};
  const std::int64_t last = args.at->pos / kAttentionRange;
  for (std::int64_t r = last - args.part; r >= 0; r -= args.parts) {
    const int n = r == last ? args.at->pos % kAttentionRange + 1 : kAttentionRange;
    for (int head = 0; head < key.group; ++head) {
      float* const out =
          args.records + (head * attention_ranges(key.seq_len) + r) * attention_record(key.head_dim);
      const Exponentials here = range.begin(args.q + head * key.head_dim, r * kAttentionRange, n);
      for (int d = 0; d < key.head_dim; ++d) out[d] = range.weighted_sum(d);
      float* const behind = out + round_up(key.head_dim, kLanes);
      behind[0] = here.maximum;
      behind[1] = here.sum;
    }
  }
}

void reference(const AttentionMergeKey& key, const AttentionMergeArgs& args) {
  for (std::int64_t head = 0; head < args.n_heads; ++head) {
    Merged out(key.head_dim, args.out + head * key.head_dim);
    for (std::int64_t r = 0; r <= args.at->pos / kAttentionRange; ++r) {
      const float* record =
          args.records + (head * attention_ranges(key.seq_len) + r) * attention_record(key.head_dim);
      const float* behind = record + round_up(key.head_dim, kLanes);
      out.add({behind[0], behind[1]}, [&](int d) { return record[d]; });
    }
    out.finish();
  }
}

}  // namespace llamajit::jit
