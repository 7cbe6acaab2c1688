#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "jit/generators.h"
#include "jit/kv_layout.h"
#include "jit/vector_math.h"

namespace llamajit::jit {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// For one K/V head at a time: the scores of its query heads, their softmax, the weighted sums. Query heads go
// through the cache several at once, so that each key and value is read once for them all.
class AttentionGenerator {
 public:
  AttentionGenerator(Emitter& emitter, const AttentionKey& attention_key) : e(emitter), key(attention_key) {}

  void generate() {
    e.enter();
    load_args();
    e.repeat(heads, [&] {
      for_each_block(heads_at_once_scores(), [&](int first, int n) { emit_scores(first, n); });
      e.mov(row, scores);
      e.repeat(count_heads, key.group, [&] { emit_softmax(); });
      for (int block = 0; block < layout.blocks(); ++block) emit_values(block);
      for (const Reg64& pointer : {q, out}) e.add(pointer, key.group * head_bytes());
      e.advance(k_cache, layout.keys_bytes());
      e.advance(v_cache, layout.values_bytes());
    });
    e.leave();
  }

 private:
  int head_bytes() const { return key.head_dim * 4; }
  int score_bytes() const { return (key.seq_len + kLanes) * 4; }  // one query head's scores
  int value_vectors() const { return static_cast<int>(divide_up(key.head_dim, kLanes)); }

  void load_args() {
    e.mov(q, e.ptr[e.args() + offsetof(AttentionArgs, q)]);
    e.mov(k_cache, e.ptr[e.args() + offsetof(AttentionArgs, k_cache)]);
    e.mov(v_cache, e.ptr[e.args() + offsetof(AttentionArgs, v_cache)]);
    e.mov(out, e.ptr[e.args() + offsetof(AttentionArgs, out)]);
    e.mov(scores, e.ptr[e.args() + offsetof(AttentionArgs, scratch)]);
    e.mov(heads, e.ptr[e.args() + offsetof(AttentionArgs, n_kv_heads)]);
    e.mov(positions, e.ptr[e.args() + offsetof(AttentionArgs, at)]);
    e.mov(positions.cvt32(), e.ptr[positions + offsetof(Cursor, pos)]);
    e.inc(positions);
  }

  // Calls body(first, n) for each run of up to `at_once` query heads.
  template <class Body>
  void for_each_block(int at_once, Body body) {
    for (int first = 0; first < key.group; first += at_once)
      body(first, std::min(at_once, key.group - first));
  }

  // count = positions / n, rounded up; n a power of two
  void count_positions(int n, int log2_n) {
    e.lea(count, e.ptr[positions + (n - 1)]);
    e.shr(count, log2_n);
  }

  // --- scores: sixteen positions a vector, dimensions 2 ways
  // ---------------------------------------------------------
  static constexpr int kScoreWays = 2;
  int heads_at_once_scores() const { return e.isa().wide() ? 8 : 2; }
  // So many groups of sixteen positions side by side that fma's latency is hidden and the registers suffice.
  int groups_at_once(int n_heads) const {
    return std::max(1, (e.isa().wide() ? 16 : 4) / (n_heads * kScoreWays));
  }

  void emit_scores(int first, int n_heads) {
    const int side_by_side = groups_at_once(n_heads);
    count_positions(kLanes, 4);
    e.mov(at, k_cache);
    e.lea(row, e.ptr[scores + first * score_bytes()]);
    e.while_at_least(count, side_by_side, [&] { emit_score_block(first, n_heads, side_by_side); });
    if (side_by_side > 1) {
      e.while_at_least(count, 1, [&] { emit_score_block(first, n_heads, 1); });
    }
  }

  // The scores of `n_groups` groups of sixteen positions at `at`, to `row`; moves both past them.
  void emit_score_block(int first, int n_heads, int n_groups) {
    Emitter::VectorScope scope(e);
    const int n_sums = n_groups * n_heads;
    const std::vector<V16> sums = e.v16s(kScoreWays * n_sums);
    const std::vector<V16> totals = e.v16s(layout.scaled() ? n_sums : 0);  // of the blocks
    const V16 keys = e.v16(), temp = e.uniform16();
    const auto dimensions = [&](int n) {
      for (int d = 0; d < n; ++d) {
        for (int g = 0; g < n_groups; ++g) {
          e.load_as_f32(keys, at + (g * layout.key_group_bytes() + d * layout.vector_bytes()), key.type);
          for (int h = 0; h < n_heads; ++h) {
            e.fma_broadcast(sums[static_cast<std::size_t>(d % kScoreWays * n_sums + g * n_heads + h)], keys,
                            at_q + (h * head_bytes() + d * 4), temp);
          }
        }
      }
      if (layout.scaled()) end_key_block(n, n_heads, sums, totals, keys);
    };
    for (const std::vector<V16>* all : {&sums, &totals}) {
      for (const V16& sum : *all) e.zero(sum);
    }
    // Blocks with scales are straight code, others are cut for the loop.
    const int turn = layout.scaled() ? layout.block_dims() : 8;
    e.lea(at_q, e.ptr[q + first * head_bytes()]);
    e.repeat(inner, key.head_dim / turn, [&] {
      dimensions(turn);
      e.add(at, turn * layout.vector_bytes() + layout.scales_bytes());
      e.add(at_q, turn * 4);
    });
    const int rest = key.head_dim % turn;
    if (rest > 0) {
      dimensions(rest);
      e.add(at, rest * layout.vector_bytes() + layout.scales_bytes());
    }
    if (n_groups > 1) e.add(at, (n_groups - 1) * layout.key_group_bytes());
    for (int i = 0; i < n_sums; ++i) {
      const V16& sum =
          layout.scaled() ? totals[static_cast<std::size_t>(i)] : sums[static_cast<std::size_t>(i)];
      if (!layout.scaled()) e.add(sum, sum, sums[static_cast<std::size_t>(n_sums + i)]);
      e.mul(sum, sum, f32(1.0F / std::sqrt(static_cast<float>(key.head_dim))));
      e.store(row + (i % n_heads * score_bytes() + i / n_heads * kLanes * 4), sum);
    }
    e.add(row, n_groups * kLanes * 4);
  }

  // After a block's n dimensions: total = fma(sum, scale, total), and the sums begin anew.
  void end_key_block(int n, int n_heads, const std::vector<V16>& sums, const std::vector<V16>& totals,
                     const V16& scales) {
    for (std::size_t i = 0; i < totals.size(); ++i) {
      const int group = static_cast<int>(i) / n_heads;
      const V16& sum = sums[i];
      const V16& other = sums[totals.size() + i];
      if (static_cast<int>(i) % n_heads == 0) {
        e.load(scales, at + (group * layout.key_group_bytes() + n * layout.vector_bytes()));
      }
      e.add(sum, sum, other);
      e.fma(totals[i], sum, scales);
      e.zero(sum);
      e.zero(other);
    }
  }

  // --- softmax of one query head's scores at `row`; leaves 1/sum in the padding's last place, and moves row
  // on ------
  void emit_softmax() {
    Emitter::VectorScope scope(e);
    const V16 acc = e.v16(), value = e.v16(), t0 = e.v16(), t1 = e.v16(), maximum = e.uniform16();
    // What lies behind the last position takes part as -infinity, then as a weight of zero.
    e.broadcast(value, f32(-kInfinity));
    e.store(row + positions * 4, value);
    e.copy(acc, value);
    count_positions(kLanes, 4);
    e.mov(at, row);
    e.repeat(count, [&] {
      e.max(acc, acc, at);
      e.add(at, kLanes * 4);
    });
    e.broadcast_lane0(maximum, e.fold_max(acc, t0));
    e.zero(acc);
    count_positions(kLanes, 4);
    e.mov(at, row);
    e.repeat(count, [&] {
      e.load(value, at);
      e.sub(value, value, maximum);
      emit_exp(e, value, t0, t1);
      e.store(at, value);
      e.add(acc, acc, value);
      e.add(at, kLanes * 4);
    });
    e.zero(value);
    e.store(row + positions * 4, value);
    const Vec sum = e.fold_add(acc, t0);
    const Xbyak::Xmm one(t1.part[0].getIdx());
    e.vmovss(one, e.constant(f32(1.0F)));
    e.vdivss(one, one, sum);
    e.vmovss(e.ptr[row + (score_bytes() - 4)], one);
    e.add(row, score_bytes());
  }

  // --- weighted sums: sixteen dimensions a vector, positions value_ways() ways
  // ---------------------------------------- A sum for each head, vector and way stays in a register; a
  // vector of values and a weight are beside them.
  int block_vectors() const {
    return static_cast<int>(divide_up(std::min(layout.block_dims(), key.head_dim), kLanes));
  }
  int sums_at_once() const { return e.isa().wide() ? 24 : 6; }
  int vectors_at_once() const { return std::clamp(sums_at_once() / key.value_ways(), 1, block_vectors()); }
  int heads_at_once_values() const {
    return std::max(1, sums_at_once() / (vectors_at_once() * key.value_ways()));
  }

  // The dimensions of one block.
  void emit_values(int block) {
    if (layout.scaled()) emit_scaled_weights(block);
    const int begin = block * block_vectors();
    const int end = std::min(begin + block_vectors(), value_vectors());
    for_each_block(heads_at_once_values(), [&](int first_head, int n_heads) {
      for (int first = begin; first < end; first += vectors_at_once()) {
        emit_value_block(first_head, n_heads, first, std::min(vectors_at_once(), end - first));
      }
    });
  }

  // Weights times the block's scales, sixteen positions at a time, beside the weights.
  int weights_at() const { return layout.scaled() ? key.group * score_bytes() : 0; }
  void emit_scaled_weights(int block) {
    Emitter::VectorScope scope(e);
    const V16 scales = e.v16(), weights = e.v16();
    count_positions(kLanes, 4);
    e.mov(row, scores);
    e.mov(at, v_cache);
    e.advance(at, layout.value_scale_at(0, block));
    e.repeat(count, [&] {
      e.load(scales, at);
      for (int h = 0; h < key.group; ++h) {
        e.mul(weights, scales, row + h * score_bytes());
        e.store(row + (weights_at() + h * score_bytes()), weights);
      }
      e.add(at, layout.scales_bytes());
      e.add(row, kLanes * 4);
    });
  }

  void emit_value_block(int first_head, int n_heads, int first_vector, int n_vectors) {
    Emitter::VectorScope scope(e);
    const int ways = key.value_ways();
    const std::vector<V16> sums = e.v16s(n_heads * n_vectors * ways);
    const auto sum = [&](int head, int vector, int way) -> const V16& {
      return sums[static_cast<std::size_t>((head * n_vectors + vector) * ways + way)];
    };
    const V16 values = e.v16(), weight = e.uniform16();
    for (const V16& s : sums) e.zero(s);

    count_positions(ways, ways / 2);
    e.lea(at, e.ptr[v_cache + first_vector * layout.vector_bytes()]);
    e.lea(row, e.ptr[scores + (weights_at() + first_head * score_bytes())]);
    e.repeat(count, [&] {
      for (int way = 0; way < ways; ++way) {
        for (int v = 0; v < n_vectors; ++v) {
          e.load_as_f32(values, at + (way * layout.value_row_bytes() + v * layout.vector_bytes()), key.type);
          for (int h = 0; h < n_heads; ++h) {
            e.fma_broadcast(sum(h, v, way), values, row + (h * score_bytes() + way * 4), weight);
          }
        }
      }
      e.add(at, ways * layout.value_row_bytes());
      e.add(row, ways * 4);
    });
    for (int h = 0; h < n_heads; ++h) {
      e.broadcast(weight, scores + ((first_head + h + 1) * score_bytes() - 4));
      for (int v = 0; v < n_vectors; ++v) {
        const V16& total = sum(h, v, 0);
        if (ways > 1) e.add(total, total, sum(h, v, 1));
        if (ways > 2) {
          e.add(sum(h, v, 2), sum(h, v, 2), sum(h, v, 3));
          e.add(total, total, sum(h, v, 2));
        }
        e.mul(total, total, weight);
        const int d = (first_vector + v) * kLanes;
        e.store_tail(out + ((first_head + h) * head_bytes() + d * 4), total,
                     std::min(kLanes, key.head_dim - d));
      }
    }
  }

  Emitter& e;
  const AttentionKey& key;
  const KvLayout layout{key};
  const Reg64 q = e.gpr(), k_cache = e.gpr(), v_cache = e.gpr(), out = e.gpr(), scores = e.gpr(),
              heads = e.gpr();
  const Reg64 positions = e.gpr(), count = e.gpr(), inner = e.gpr(), at = e.gpr(), at_q = e.gpr(),
              row = e.gpr();
  const Reg64& count_heads = at_q;  // free during the softmax
};

}  // namespace

void generate(Emitter& e, const AttentionKey& key) {
  AttentionGenerator(e, key).generate();
}

}  // namespace llamajit::jit
