// Attention's softmax of one range, and how ranges come together.
#include <algorithm>
#include <bit>
#include <vector>

#include "jit/base/scalar_math.h"
#include "jit/emit/vector_math.h"
#include "jit/kernels/attention_frame.h"

namespace llamajit::jit {
namespace {

class Softmax {
 public:
  // Takes `n_rows` side by side, which hides the latency of one's sums behind another's.
  Softmax(const AttentionFrame& frame, int n_rows) : f(frame), e(frame.e) {
    for (int i = 0; i < n_rows; ++i) rows.emplace_back(e, i);
  }

  // Emits the softmax of the rows from the one at `row` on, which moves past them.
  void emit_rows() {
    if (f.key.scores.cap > 0) cap_scores();
    if (f.key.slopes) add_slopes();
    find_maxima();
    exponentials();
    switch (f.result) {
      case RangeResult::whole:
        for (const Row& r : rows) store_scale(r);
        break;
      case RangeResult::merged:
        merge_and_scale();
        break;
      case RangeResult::record:
        for (const Row& r : rows) store_maximum_and_sum(r);
        break;
    }
    if (f.key.sinks) e.add(f.slot(Slot::sink), 4 * static_cast<int>(rows.size()));
    if (f.key.slopes) e.add(f.slot(Slot::slope), 4 * static_cast<int>(rows.size()));
    e.add(f.row, static_cast<int>(rows.size()) * kScoreRowBytes);
  }

 private:
  struct Row {
    Row(Emitter& e, int index)
        : i(index),
          acc(e.v16("acc")),
          value(e.v16("value")),
          t0(e.v16("t0")),
          t1(e.v16("t1")),
          maximum(e.uniform16("maximum")),
          sum(e.uniform16("sum")) {}
    int i;
    V16 acc, value, t0, t1, maximum, sum;
  };

  // Return where scores of a row stand: those at hand, which `at` walks over, and its RowValues.
  RegExp scores_of(const Row& r) const { return f.at + score_row_at(r.i); }
  RegExp value_of(const Row& r, RowValue value) const {
    return f.row + (score_row_at(r.i) + row_value_at(value));
  }

  void cap_scores() {
    f.count_positions(kLanes);
    e.mov(f.at, f.row);
    e.repeat(f.count, [&] {
      for (const Row& r : rows) {
        e.load(r.value, scores_of(r));
        emit_cap(e, r.value, f.key.scores.cap, r.t0, r.t1);
        e.store(scores_of(r), r.value);
      }
      e.add(f.at, kLanes * 4);
    });
  }

  // All rows are those of a token, whose distance from a position they share.
  void add_slopes() {
    const V16 &distance = rows[0].acc, &magnitude = rows[0].t0;
    e.note("score += |position - own| * slope");
    e.mov(e.scratch(), f.slot(Slot::begin));
    e.sub(e.scratch(), f.slot(Slot::own));
    const Xbyak::Xmm begin = xmm_of(magnitude.part[0]);
    e.zero(magnitude);
    e.vcvtsi2ss(begin, begin, e.scratch());
    e.lane_numbers(distance);
    e.broadcast_lane0(magnitude, magnitude.part[0]);
    e.add(distance, distance, magnitude);
    e.mov(e.scratch(), f.slot(Slot::slope));
    for (const Row& r : rows) e.broadcast(r.maximum, e.scratch() + r.i * 4);
    f.count_positions(kLanes);
    e.mov(f.at, f.row);
    e.repeat(f.count, [&] {
      e.abs(magnitude, distance);
      e.add(distance, distance, f32(kLanes));
      for (const Row& r : rows) {
        e.load(r.value, scores_of(r));
        e.fma(r.value, magnitude, r.maximum);
        e.store(scores_of(r), r.value);
      }
      e.add(f.at, kLanes * 4);
    });
  }

  // In the last group of sixteen, places behind the last position take part as -infinity, then as a weight of
  // zero. That group is changed as a whole: a store of its tail alone would keep what reads it next waiting.
  void find_maxima() {
    const Reg64& lanes = f.inner;  // of the last group
    if (f.key.window > 0) fill_unseen(f32(-kInfinity));
    e.note("the maximum of a row's scores; -inf behind the last position");
    e.lea(lanes, e.ptr[f.positions - 1]);
    e.mov(f.count, lanes);
    e.and_(lanes, kLanes - 1);
    e.inc(lanes);
    e.shr(f.count, 4);
    e.mov(f.at, f.row);
    for (const Row& r : rows) e.broadcast(r.acc, f32(-kInfinity));
    e.while_at_least(f.count, 1, [&] {
      for (const Row& r : rows) e.max(r.acc, r.acc, scores_of(r));
      e.add(f.at, kLanes * 4);
    });
    for (const Row& r : rows) {
      e.load(r.value, scores_of(r));
      e.fill_tail(r.value, lanes, f32(-kInfinity));
      e.store(scores_of(r), r.value);
      e.max(r.acc, r.acc, r.value);
      e.broadcast_lane0(r.maximum, e.fold_max(r.acc, r.t0));
    }
  }

  // The same for places of the first group that lie before the window.
  void fill_unseen(Const fill) {
    e.note("{} before the window", fill.bits == 0 ? "0" : "-inf");
    e.mov(e.scratch(), f.slot(Slot::unseen));
    for (const Row& r : rows) {
      e.load(r.value, f.row + score_row_at(r.i));
      e.fill_head(r.value, e.scratch(), fill);
      e.store(f.row + score_row_at(r.i), r.value);
    }
  }

  void exponentials() {
    e.note("weight = exp(score - maximum), and their sum");
    for (const Row& r : rows) e.zero(r.acc);
    f.count_positions(kLanes);
    e.mov(f.at, f.row);
    e.repeat(f.count, [&] {
      for (const Row& r : rows) {
        e.load(r.value, scores_of(r));
        e.sub(r.value, r.value, r.maximum);
        emit_exp(e, r.value, r.t0, r.t1);
        e.store(scores_of(r), r.value);
        e.add(r.acc, r.acc, r.value);
      }
      e.add(f.at, kLanes * 4);
    });
    for (const Row& r : rows) {
      e.fill_tail(r.value, f.inner, f32(0.0F));
      e.store(scores_of(r) - kLanes * 4, r.value);
    }
    if (f.key.window > 0) fill_unseen(f32(0.0F));
    for (const Row& r : rows) e.broadcast_lane0(r.sum, e.fold_add(r.acc, r.t0));
  }

  void merge_and_scale() {
    Xbyak::Label first, more, done;
    e.note("maximum and sum of all ranges so far");
    e.cmp(f.slot(Slot::later), 0);
    e.je(first, Emitter::T_NEAR);
    for (const Row& r : rows) merge(r);
    e.L(first, "first_range");
    for (const Row& r : rows) store_maximum_and_sum(r);
    e.cmp(f.slot(Slot::left), kAttentionRange);
    e.jg(more, Emitter::T_NEAR);
    for (const Row& r : rows) store_scale(r);
    e.jmp(done, Emitter::T_NEAR);
    e.L(more, "more_ranges");
    for (const Row& r : rows) {
      e.mov(e.dword[value_of(r, RowValue::scale)], std::bit_cast<std::uint32_t>(1.0F));
    }
    e.L(done, "rows_done");
  }

  // maximum and sum = those of all ranges so far
  void merge(const Row& r) {
    Emitter::VectorScope scope(e);
    const V16 m = e.uniform16("m"), l = e.uniform16("l");
    e.broadcast(m, value_of(r, RowValue::maximum));
    e.broadcast(l, value_of(r, RowValue::sum));
    emit_merge(e, m, l, r.maximum, r.sum);
    e.vmovss(e.ptr[value_of(r, RowValue::before)], xmm_of(r.maximum.part[0]));
    e.vmovss(e.ptr[value_of(r, RowValue::range)], xmm_of(r.sum.part[0]));
    e.copy(r.maximum, m);
    e.copy(r.sum, l);
  }

  void store_maximum_and_sum(const Row& r) {
    e.vmovss(e.ptr[value_of(r, RowValue::maximum)], xmm_of(r.maximum.part[0]));
    e.vmovss(e.ptr[value_of(r, RowValue::sum)], xmm_of(r.sum.part[0]));
  }

  void store_scale(const Row& r) {
    Emitter::VectorScope scope(e);
    const V16 scale = e.uniform16("scale");
    const Xbyak::Xmm one = xmm_of(scale.part[0]);
    if (f.key.sinks) {
      e.mov(e.scratch(), f.slot(Slot::sink));
      emit_sink(e, scale, r.maximum, r.sum, e.scratch() + r.i * 4);
    } else {
      e.vmovss(one, e.constant(f32(1.0F)));
    }
    e.note("{} / sum", f.key.sinks ? "a" : "1");
    e.vdivss(one, one, xmm_of(r.sum.part[0]));
    e.vmovss(e.ptr[value_of(r, RowValue::scale)], one);
  }

  const AttentionFrame& f;
  Emitter& e;
  std::vector<Row> rows;
};

// The softmax of as many rows as `rows` counts, which see the same positions; `at_most` of them, where that is known.
void emit_rows(const AttentionFrame& f, const Reg64& rows, int n_rows, bool counted) {
  constexpr int kSideBySide = 4;  // in the registers of 512-bit tiers
  const int at_once = f.e.isa().wide() ? std::min(kSideBySide, n_rows) : 1;
  for (const int n : {at_once, 1}) {
    f.e.while_at_least(rows, n, [&] {
      Emitter::VectorScope scope(f.e);
      Softmax(f, n).emit_rows();
    });
    if (n == 1 || (counted && n_rows % at_once == 0)) return;
  }
}

}  // namespace

void emit_softmax(const AttentionFrame& f) {
  Emitter& e = f.e;
  const Reg64& rows = f.at_q;
  const auto first_row = [&] {  // of a token
    if (f.key.sinks) {
      e.mov(e.scratch(), f.slot(Slot::first_sink));
      e.mov(f.slot(Slot::sink), e.scratch());
    }
    if (f.key.slopes) {
      e.mov(e.scratch(), f.slot(Slot::first_slope));
      e.mov(f.slot(Slot::slope), e.scratch());
    }
  };
  if (f.key.tokens == 1) {
    first_row();
    const int heads = f.heads_at_once();
    if (heads > 1) {
      e.imul(rows, f.slot(Slot::heads_now), f.rows());
    } else {
      e.mov(rows, f.rows());
    }
    return emit_rows(f, rows, heads * f.rows(), heads == 1);
  }
  if (!f.key.causal && !f.key.sinks && !f.key.slopes) {
    e.mov(rows, f.rows());
    return emit_rows(f, rows, f.rows(), true);
  }
  // Each token sees one position more, but for whole ranges, or all the same.
  if (f.key.causal) e.mov(f.slot(Slot::first_token), f.positions);
  const Reg64& tokens = f.heads;
  e.name(tokens, "tokens");
  e.repeat(tokens, f.key.tokens, [&] {
    first_row();
    e.mov(rows, f.key.group);
    emit_rows(f, rows, f.key.group, true);
    if (f.key.slopes) e.inc(f.slot(Slot::own));
    if (!f.key.causal) return;
    e.lea(e.scratch(), e.ptr[f.positions + 1]);
    e.cmp(f.positions, kAttentionRange);
    e.cmovl(f.positions, e.scratch());
  });
  e.name(tokens, "heads");
  if (f.key.causal) e.mov(f.positions, f.slot(Slot::first_token));
  if (f.key.slopes) e.sub(f.slot(Slot::own), f.key.tokens);
}

void emit_merge(Emitter& e, const V16& m, const V16& l, const V16& a, const V16& b) {
  Emitter::VectorScope scope(e);
  const V16 both = e.uniform16("both"), t0 = e.uniform16("t0"), t1 = e.uniform16("t1");
  e.note("a = exp(m - max(m, m_r)), b = exp(m_r - max(m, m_r)), l = l_r * b + l * a");
  e.max(both, m, a);
  e.sub(m, m, both);
  emit_exp(e, m, t0, t1);
  e.sub(a, a, both);
  emit_exp(e, a, t0, t1);
  e.mul(l, l, m);
  e.fma(l, b, a);
  e.copy(b, a);
  e.copy(a, m);
  e.copy(m, both);
}

void emit_sink(Emitter& e, const V16& a, const V16& m, const V16& l, const RegExp& sink) {
  Emitter::VectorScope scope(e);
  const V16 b = e.uniform16("b"), t0 = e.uniform16("t0"), t1 = e.uniform16("t1");
  e.note("a = exp(m - max(m, sink)), l = l * a + exp(sink - max(m, sink))");
  e.broadcast(b, sink);
  e.copy(a, m);
  e.max(m, m, b);
  e.sub(a, a, m);
  emit_exp(e, a, t0, t1);
  e.sub(b, b, m);
  emit_exp(e, b, t0, t1);
  e.muladd(l, a, b);
}

}  // namespace llamajit::jit
