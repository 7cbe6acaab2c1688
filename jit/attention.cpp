#include <algorithm>
#include <cmath>
#include <limits>

#include "jit/generators.h"
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
    if (key.head_dim % kLanes != 0) e.prepare_tail(key.head_dim % kLanes);
    load_args();
    e.repeat(heads, [&] {
      for_each_block(heads_at_once_scores(), [&](int first, int n) { emit_scores(first, n); });
      e.mov(row, scores);
      e.repeat(count_heads, key.group, [&] { emit_softmax(); });
      for_each_block(heads_at_once_values(), [&](int first, int n) { emit_values(first, n); });
      for (const Reg64& pointer : {q, out}) e.add(pointer, key.group * head_bytes());
      for (const Reg64& cache : {k_cache, v_cache})
        e.advance(cache, std::int64_t{key.seq_len} * head_bytes());
    });
    e.leave();
  }

 private:
  int head_bytes() const { return key.head_dim * 4; }
  int score_bytes() const { return (key.seq_len + kLanes) * 4; }  // one query head's scores
  int group_bytes() const { return key.head_dim * kLanes * 4; }   // sixteen positions' keys
  int value_vectors() const { return static_cast<int>(divide_up(key.head_dim, kLanes)); }

  void load_args() {
    e.mov(q, e.ptr[e.args() + offsetof(AttentionArgs, q)]);
    e.mov(k_cache, e.ptr[e.args() + offsetof(AttentionArgs, k_cache)]);
    e.mov(v_cache, e.ptr[e.args() + offsetof(AttentionArgs, v_cache)]);
    e.mov(out, e.ptr[e.args() + offsetof(AttentionArgs, out)]);
    e.mov(scores, e.ptr[e.args() + offsetof(AttentionArgs, scores)]);
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

  void emit_scores(int first, int n) {
    Emitter::VectorScope scope(e);
    std::vector<V16> ways[kScoreWays] = {e.v16s(n), e.v16s(n)};
    const V16 keys = e.v16(), value = e.uniform16();
    const auto dimension = [&](int d, int way) {
      e.load(keys, at + d * kLanes * 4);
      for (int h = 0; h < n; ++h) {
        e.broadcast(value, at_q + (h * head_bytes() + d * 4));
        e.fma(ways[way][static_cast<std::size_t>(h)], value, keys);
      }
    };
    count_positions(kLanes, 4);
    e.mov(at, k_cache);
    e.lea(row, e.ptr[scores + first * score_bytes()]);
    e.repeat(count, [&] {
      for (const auto& way : ways) {
        for (const V16& sum : way) e.zero(sum);
      }
      constexpr int kUnroll = 8;
      e.lea(at_q, e.ptr[q + first * head_bytes()]);
      e.repeat(inner, key.head_dim / kUnroll, [&] {
        for (int d = 0; d < kUnroll; ++d) dimension(d, d % kScoreWays);
        e.add(at, kUnroll * kLanes * 4);
        e.add(at_q, kUnroll * 4);
      });
      const int rest = key.head_dim % kUnroll;
      for (int d = 0; d < rest; ++d) dimension(d, d % kScoreWays);
      e.add(at, rest * kLanes * 4);
      for (int h = 0; h < n; ++h) {
        const V16& sum = ways[0][static_cast<std::size_t>(h)];
        e.add(sum, sum, ways[1][static_cast<std::size_t>(h)]);
        e.mul(sum, sum, f32(1.0F / std::sqrt(static_cast<float>(key.head_dim))));
        e.store(row + h * score_bytes(), sum);
      }
      e.add(row, kLanes * 4);
    });
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
  // ---------------------------------------- Registers: for each head and vector one sum a way, a vector of
  // values, a weight.
  int heads_at_once_values() const { return e.isa().wide() ? 2 : 1; }
  int vectors_at_once() const { return std::max(1, (e.isa().wide() ? 8 : 4) / key.value_ways()); }

  void emit_values(int first_head, int n_heads) {
    for (int first = 0; first < value_vectors(); first += vectors_at_once()) {
      emit_value_block(first_head, n_heads, first, std::min(vectors_at_once(), value_vectors() - first));
    }
  }

  int lanes_of(int vector) const { return std::min(kLanes, key.head_dim - vector * kLanes); }

  void emit_value_block(int first_head, int n_heads, int first_vector, int n_vectors) {
    Emitter::VectorScope scope(e);
    const int ways = key.value_ways();
    const std::vector<V16> sums = e.v16s(n_heads * n_vectors * ways);
    const auto sum = [&](int head, int vector, int way) -> const V16& {
      return sums[static_cast<std::size_t>((head * n_vectors + vector) * ways + way)];
    };
    const V16 values = e.v16(), weight = e.uniform16();
    for (const V16& s : sums) e.zero(s);

    count_positions(ways, ways == 4 ? 2 : ways - 1);
    e.lea(at, e.ptr[v_cache + first_vector * kLanes * 4]);
    e.lea(row, e.ptr[scores + first_head * score_bytes()]);
    e.repeat(count, [&] {
      for (int way = 0; way < ways; ++way) {
        for (int v = 0; v < n_vectors; ++v) {
          e.load_tail(values, at + (way * head_bytes() + v * kLanes * 4), lanes_of(first_vector + v));
          for (int h = 0; h < n_heads; ++h) {
            e.broadcast(weight, row + (h * score_bytes() + way * 4));
            e.fma(sum(h, v, way), weight, values);
          }
        }
      }
      e.add(at, ways * head_bytes());
      e.add(row, ways * 4);
    });
    for (int h = 0; h < n_heads; ++h) {
      const int head = first_head + h;
      e.broadcast(weight, scores + ((head + 1) * score_bytes() - 4));
      for (int v = 0; v < n_vectors; ++v) {
        const V16& total = sum(h, v, 0);
        if (ways > 1) e.add(total, total, sum(h, v, 1));
        if (ways > 2) {
          e.add(sum(h, v, 2), sum(h, v, 2), sum(h, v, 3));
          e.add(total, total, sum(h, v, 2));
        }
        e.mul(total, total, weight);
        const int vector = first_vector + v;
        e.store_tail(out + (head * head_bytes() + vector * kLanes * 4), total, lanes_of(vector));
      }
    }
  }

  Emitter& e;
  const AttentionKey& key;
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
