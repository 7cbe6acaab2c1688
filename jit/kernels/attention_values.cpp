// Attention's weighted sums: sixteen dimensions a vector, positions value_ways() ways. A sum for each row,
// vector and way stays in a register; each vector of values is read once for all rows of a block.
#include <algorithm>
#include <vector>

#include "jit/kernels/attention_frame.h"

namespace llamajit::jit {
namespace {

constexpr int kMostSums = 28;  // in registers

class Values {
 public:
  explicit Values(const AttentionFrame& frame) : f(frame), e(frame.e) {}

  void emit() {
    const int rows_at_once = evenly(f.rows(), rows_at_most());
    for (int dims = 0; dims < f.key.head_dim; dims += f.layout.block_dims()) {
      if (f.layout.scaled()) scale_weights(dims / f.layout.block_dims());
      const int begin = dims / kLanes;
      const int end =
          static_cast<int>(divide_up(std::min(dims + f.layout.block_dims(), f.key.head_dim), kLanes));
      for (int row = 0; row < f.rows(); row += rows_at_once) {
        const int n_rows = std::min(rows_at_once, f.rows() - row);
        const int vectors_at_once = evenly(end - begin, vectors_at_most(n_rows));
        for (int v = begin; v < end; v += vectors_at_once) {
          emit_block({row, n_rows, v, std::min(vectors_at_once, end - v)});
        }
      }
    }
    if (f.result != RangeResult::record) e.add(f.out, f.next_head());
    e.advance(f.values, f.layout.values_bytes());
    e.add(f.scores, f.rows() * kScoreRowBytes);
  }

 private:
  struct Block {
    int row, n_rows;        // of the head's
    int vector, n_vectors;  // of a row
  };

  // The largest part of n when it is cut evenly into parts of at most `most`.
  static int evenly(int n, int most) { return static_cast<int>(divide_up(n, divide_up(n, most))); }

  // Several tokens have sums enough to hide fma's latency: their ways are summed one after the other.
  int ways_at_once() const { return f.key.tokens > 1 ? 1 : f.key.value_ways(); }
  // 256-bit tiers want four registers for other things in the end.
  int sums_at_most() const { return e.isa().wide() ? kMostSums : 6; }
  // The more rows read a vector of values, the less it costs to make it floats.
  int rows_at_most() const { return std::min(f.key.tokens > 1 ? 16 : 8, sums_at_most() / ways_at_once()); }
  // Returns how many vectors of n_rows rows can have their sums in registers, beside a vector of values and the rows'
  // weights. With a single vector a weight is used just once and needs no register of its own.
  int vectors_at_most(int n_rows) const {
    const int per_v16 = e.isa().wide() ? 1 : 2;
    int n = 1;
    for (;; ++n) {
      const int sums = (n + 1) * n_rows * ways_at_once();
      if (sums > sums_at_most() || (sums + 1) * per_v16 + n_rows > e.vectors()) return n;
    }
  }

  // Weights times a block's scales, sixteen positions at a time, lie behind the weights of all heads.
  int weights_at() const { return f.layout.scaled() ? f.heads_at_once() * score_row_at(f.rows()) : 0; }
  void scale_weights(int block) {
    Emitter::VectorScope scope(e);
    const V16 scales = e.v16("scales"), weights = e.v16("weights");
    e.note("weights times the scales of block {}", block);
    f.count_positions(kLanes);
    e.mov(f.row, f.scores);
    e.mov(f.at, f.values);
    e.advance(f.at, f.layout.value_scale_at(0, block));
    if (f.key.window > 0) e.add(f.at, f.slot(Slot::scales_skipped));
    e.repeat(f.count, [&] {
      e.load(scales, f.at);
      for (int i = 0; i < f.rows(); ++i) {
        e.mul(weights, scales, f.row + score_row_at(i));
        e.store(f.row + (weights_at() + score_row_at(i)), weights);
      }
      e.add(f.at, f.layout.scales_bytes());
      e.add(f.row, kLanes * 4);
    });
  }

  void emit_block(const Block& b) {
    Emitter::VectorScope scope(e);
    const int ways = f.key.value_ways();
    const int n_sums = b.n_rows * b.n_vectors;
    const std::vector<V16> sums = e.v16s({ways_at_once(), b.n_rows, b.n_vectors}, "sums[way][row][vector]");
    e.note("rows {} to {}, dimensions {} to {}: sums of weight * value, positions {} ways", b.row,
           b.row + b.n_rows - 1, b.vector * kLanes, (b.vector + b.n_vectors) * kLanes - 1, ways);
    for (int first_way = 0; first_way < ways; first_way += ways_at_once()) {
      for (const V16& sum : sums) e.zero(sum);
      add_positions(b, first_way, sums);
      for (int i = 0; i < n_sums; ++i) {
        if (ways_at_once() == 1) {
          add_way(first_way, sums[static_cast<std::size_t>(i)], i, n_sums);
        } else {
          add_ways(&sums[static_cast<std::size_t>(i)], n_sums);
        }
      }
    }
    finish(b, sums);
  }

  // Sums every value_ways()-th position from the first way's on, and those of the ways beside it.
  void add_positions(const Block& b, int first_way, const std::vector<V16>& sums) {
    const int ways = f.key.value_ways();
    e.note("positions {} + {}n{}", first_way, ways, ways_at_once() > 1 ? " and those behind each" : "");
    f.count_all_positions(ways);
    e.lea(f.at,
          e.ptr[f.values + (first_way * f.layout.value_row_bytes() + b.vector * f.layout.vector_bytes())]);
    e.lea(f.row, e.ptr[f.scores + (weights_at() + score_row_at(b.row) + first_way * 4)]);
    e.repeat(f.count, [&] {
      for (int way = 0; way < ways_at_once(); ++way) {
        add_position(b, way, &sums[static_cast<std::size_t>(way * b.n_rows * b.n_vectors)]);
      }
      e.add(f.at, ways * f.layout.value_row_bytes());
      e.add(f.row, ways * 4);
    });
  }

  // The first way's sum = (a0+a1)+(a2+a3), all ways in registers `stride` apart.
  void add_ways(const V16* sum, int stride) {
    const int ways = f.key.value_ways();
    if (ways > 1) e.add(sum[0], sum[0], sum[stride]);
    if (ways > 2) {
      e.add(sum[2 * stride], sum[2 * stride], sum[3 * stride]);
      e.add(sum[0], sum[0], sum[2 * stride]);
    }
  }

  // The same as the ways come by: a0 and then a0+a1 wait on the stack, and behind them a2.
  void add_way(int way, const V16& sum, int index, int n_sums) {
    const auto waiting = [&](int i) { return e.rsp + (AttentionFrame::kSlotsBytes + i * kLanes * 4); };
    if (way % 2 == 1) e.add(sum, sum, waiting(way == 1 ? index : n_sums + index));
    if (way == 3) e.add(sum, sum, waiting(index));
    if (way < f.key.value_ways() - 1) e.store(waiting(way == 2 ? n_sums + index : index), sum);
  }

  // sums (rows, vectors) += weight * value of the position `index` places from `at` and `row`
  void add_position(const Block& b, int index, const V16* sums) {
    Emitter::VectorScope scope(e);
    const V16 values = e.v16("values");
    std::vector<V16> weights;
    weights.reserve(static_cast<std::size_t>(b.n_rows));
    for (int i = 0; i < (b.n_vectors > 1 ? b.n_rows : 1); ++i) weights.push_back(e.uniform16("weight"));
    const auto weight = [&](int i) { return f.row + (score_row_at(i) + index * 4); };
    if (b.n_vectors > 1) {
      for (int i = 0; i < b.n_rows; ++i) e.broadcast(weights[static_cast<std::size_t>(i)], weight(i));
    }
    for (int v = 0; v < b.n_vectors; ++v) {
      e.load_as_f32(values, f.at + (index * f.layout.value_row_bytes() + v * f.layout.vector_bytes()),
                    f.key.type);
      for (int i = 0; i < b.n_rows; ++i) {
        const V16& sum = sums[i * b.n_vectors + v];
        if (b.n_vectors > 1) {
          e.fma(sum, values, weights[static_cast<std::size_t>(i)]);
        } else {
          e.fma_broadcast(sum, values, weight(i), weights[0]);
        }
      }
    }
  }

  // sums (rows, vectors) to out
  void finish(const Block& b, const std::vector<V16>& sums) {
    if (f.result == RangeResult::whole) return scale(b, sums);
    if (f.result == RangeResult::record) {
      return over_out(
          b, sums, [&](int, const V16& sum, const RegExp& to, int lanes) { e.store_tail(to, sum, lanes); });
    }
    Xbyak::Label later, done;
    e.note("the first range is copied, later ones are merged");
    e.cmp(f.slot(Slot::later), 0);
    e.jne(later, Emitter::T_NEAR);
    scale(b, sums);
    e.jmp(done, Emitter::T_NEAR);
    e.L(later, "later_range");
    merge(b, sums);
    e.L(done, "stored");
  }

  // out = fma(o, scale, +0)
  void scale(const Block& b, const std::vector<V16>& sums) {
    over_out(b, sums, [&](int i, const V16& sum, const RegExp& to, int lanes) {
      Emitter::VectorScope scope(e);
      const V16 factor = e.uniform16("factor");
      e.broadcast(factor, f.scores + (score_row_at(i) + row_value_at(RowValue::scale)));
      e.muladd(sum, factor, f32(0.0F));
      e.store_tail(to, sum, lanes);
    });
  }

  // out = fma(fma(o, b, out * a), scale, +0)
  void merge(const Block& b, const std::vector<V16>& sums) {
    over_out(b, sums, [&](int i, const V16& sum, const RegExp& to, int lanes) {
      Emitter::VectorScope scope(e);
      const V16 before = e.v16("before"), factor = e.uniform16("factor");
      const auto broadcast = [&](RowValue v) {
        e.broadcast(factor, f.scores + (score_row_at(i) + row_value_at(v)));
      };
      e.load_tail(before, to, lanes);
      broadcast(RowValue::before);
      e.mul(before, before, factor);
      broadcast(RowValue::range);
      e.fma(before, sum, factor);
      broadcast(RowValue::scale);
      e.muladd(before, factor, f32(0.0F));
      e.store_tail(to, before, lanes);
    });
  }

  // Calls body(row, sum, where it belongs, lanes) for each sum of a block.
  template <class Body>
  void over_out(const Block& b, const std::vector<V16>& sums, Body body) {
    for (int i = 0; i < b.n_rows; ++i) {
      for (int v = 0; v < b.n_vectors; ++v) {
        const int d = (b.vector + v) * kLanes;
        body(b.row + i, sums[static_cast<std::size_t>(i * b.n_vectors + v)],
             f.out + (f.out_at(b.row + i) + d * 4), std::min(kLanes, f.key.head_dim - d));
      }
    }
  }

  const AttentionFrame& f;
  Emitter& e;
};

}  // namespace

int AttentionFrame::waiting_sums() const {
  return key.tokens > 1 && key.value_ways() > 1 ? 2 * kMostSums : 0;
}

void emit_values(const AttentionFrame& f) {
  Values(f).emit();
}

}  // namespace llamajit::jit
