// The twins of the attention kernels.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "jit/kv_layout.h"
#include "jit/reference.h"
#include "jit/scalar_math.h"

namespace llamajit::jit {
namespace {

float read_f32(const std::byte* at) {
  float value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

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
    sum =
        layout.scaled() ? fused(block_sum, read_f32(keys + layout.key_scale_at(pos, block)), sum) : block_sum;
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
        weight *= read_f32(values + layout.value_scale_at(first + i, d / layout.block_dims()));
      }
      acc[i % ways] = fused(weight, layout.element(values + layout.value_at(first + i, d)), acc[i % ways]);
    }
    return tree_sum(acc, ways);
  }
};

// The sum of two texts' weights, as factors of what each has summed: l = l * before + l_r * range.
struct Factors {
  float before, range;
};
Factors merge(Exponentials& all, const Exponentials& range) {
  const float maximum = max2(all.maximum, range.maximum);
  const Factors factors{exp_f32(all.maximum - maximum), exp_f32(range.maximum - maximum)};
  all = {maximum, fused(range.sum, factors.range, all.sum * factors.before)};
  return factors;
}

// One query head's out, over the positions [0, n_positions).
void attend(Range& range, const float* q, int n_positions, float* out) {
  const int head_dim = range.key.head_dim;
  Exponentials all{};
  for (int first = 0; first < n_positions; first += kAttentionRange) {
    const Exponentials here = range.begin(q, first, std::min(kAttentionRange, n_positions - first));
    if (first == 0) {
      all = here;
      for (int d = 0; d < head_dim; ++d) out[d] = range.weighted_sum(d);
      continue;
    }
    const Factors factors = merge(all, here);
    for (int d = 0; d < head_dim; ++d) {
      out[d] = fused(range.weighted_sum(d), factors.range, out[d] * factors.before);
    }
  }
  const float inverse = 1.0F / all.sum;
  for (int d = 0; d < head_dim; ++d) out[d] = fused(out[d], inverse, 0.0F);
}

}  // namespace

void reference(const AttentionKey& key, const AttentionArgs& args) {
  const KvLayout layout(key);
  for (std::int64_t head = 0; head < args.n_kv_heads * key.group; ++head) {
    const std::int64_t kv_head = head / key.group;
    Range range{.key = key,
                .keys = args.k_cache + kv_head * layout.keys_bytes(),
                .values = args.v_cache + kv_head * layout.values_bytes(),
                .weights = args.scratch};
    attend(range, args.q + head * key.head_dim, args.at->pos + 1, args.out + head * key.head_dim);
  }
}

}  // namespace llamajit::jit
