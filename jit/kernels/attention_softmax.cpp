// Attention's softmax of one range, and how ranges come together.
#include <bit>

#include "jit/base/scalar_math.h"
#include "jit/emit/vector_math.h"
#include "jit/kernels/attention_frame.h"

namespace llamajit::jit {
namespace {

class Softmax {
 public:
  explicit Softmax(const AttentionFrame& frame) : f(frame), e(frame.e) {}

  // Emits the softmax of the row at `row`, which moves on.
  void emit_row() {
    Emitter::VectorScope scope(e);
    if (f.key.scores.cap > 0) cap_scores();
    find_maximum();
    exponentials();
    switch (f.result) {
      case RangeResult::whole:
        store_scale();
        break;
      case RangeResult::merged:
        merge_and_scale();
        break;
      case RangeResult::record:
        store_maximum_and_sum();
        break;
    }
    if (f.key.sinks) e.add(f.slot(Slot::sink), 4);
    e.add(f.row, kScoreRowBytes);
  }

  // The next row is the first one of a token.
  void begin_token() {
    if (!f.key.sinks) return;
    e.mov(e.scratch(), f.slot(Slot::first_sink));
    e.mov(f.slot(Slot::sink), e.scratch());
  }

 private:
  void cap_scores() {
    f.count_positions(kLanes);
    e.mov(f.at, f.row);
    e.repeat(f.count, [&] {
      e.load(value, f.at);
      emit_cap(e, value, f.key.scores.cap, t0, t1);
      e.store(f.at, value);
      e.add(f.at, kLanes * 4);
    });
  }

  // In the last group of sixteen, places behind the last position take part as -infinity, then as a weight of
  // zero. That group is changed as a whole: a store of its tail alone would keep what reads it next waiting.
  void find_maximum() {
    const Reg64& lanes = f.inner;  // of the last group
    if (f.key.window > 0) fill_unseen(f32(-kInfinity));
    e.note("the maximum of a row's scores; -inf behind the last position");
    e.lea(lanes, e.ptr[f.positions - 1]);
    e.mov(f.count, lanes);
    e.and_(lanes, kLanes - 1);
    e.inc(lanes);
    e.shr(f.count, 4);
    e.mov(f.at, f.row);
    e.broadcast(acc, f32(-kInfinity));
    e.while_at_least(f.count, 1, [&] {
      e.max(acc, acc, f.at);
      e.add(f.at, kLanes * 4);
    });
    e.load(value, f.at);
    e.fill_tail(value, lanes, f32(-kInfinity));
    e.store(f.at, value);
    e.max(acc, acc, value);
    e.broadcast_lane0(maximum, e.fold_max(acc, t0));
  }

  // The same for places of the first group that lie before the window.
  void fill_unseen(Const fill) {
    e.note("{} before the window", fill.bits == 0 ? "0" : "-inf");
    e.load(value, f.row);
    e.mov(e.scratch(), f.slot(Slot::unseen));
    e.fill_head(value, e.scratch(), fill);
    e.store(f.row, value);
  }

  void exponentials() {
    e.note("weight = exp(score - maximum), and their sum");
    e.zero(acc);
    f.count_positions(kLanes);
    e.mov(f.at, f.row);
    e.repeat(f.count, [&] {
      e.load(value, f.at);
      e.sub(value, value, maximum);
      emit_exp(e, value, t0, t1);
      e.store(f.at, value);
      e.add(acc, acc, value);
      e.add(f.at, kLanes * 4);
    });
    e.fill_tail(value, f.inner, f32(0.0F));
    e.store(f.at - kLanes * 4, value);
    if (f.key.window > 0) fill_unseen(f32(0.0F));
    e.broadcast_lane0(sum, e.fold_add(acc, t0));
  }

  void merge_and_scale() {
    Xbyak::Label first, more, done;
    e.note("maximum and sum of all ranges so far");
    e.cmp(f.slot(Slot::later), 0);
    e.je(first, Emitter::T_NEAR);
    merge();
    e.L(first, "first_range");
    store_maximum_and_sum();
    e.cmp(f.slot(Slot::left), kAttentionRange);
    e.jg(more, Emitter::T_NEAR);
    store_scale();
    e.jmp(done, Emitter::T_NEAR);
    e.L(more, "more_ranges");
    e.mov(e.dword[f.row + row_value_at(RowValue::scale)], std::bit_cast<std::uint32_t>(1.0F));
    e.L(done, "row_done");
  }

  // maximum and sum = those of all ranges so far
  void merge() {
    Emitter::VectorScope scope(e);
    const V16 m = e.uniform16("m"), l = e.uniform16("l");
    e.broadcast(m, f.row + row_value_at(RowValue::maximum));
    e.broadcast(l, f.row + row_value_at(RowValue::sum));
    emit_merge(e, m, l, maximum, sum);
    e.vmovss(e.ptr[f.row + row_value_at(RowValue::before)], xmm_of(maximum.part[0]));
    e.vmovss(e.ptr[f.row + row_value_at(RowValue::range)], xmm_of(sum.part[0]));
    e.copy(maximum, m);
    e.copy(sum, l);
  }

  void store_maximum_and_sum() {
    e.vmovss(e.ptr[f.row + row_value_at(RowValue::maximum)], xmm_of(maximum.part[0]));
    e.vmovss(e.ptr[f.row + row_value_at(RowValue::sum)], xmm_of(sum.part[0]));
  }

  void store_scale() {
    Emitter::VectorScope scope(e);
    const V16 scale = e.uniform16("scale");
    const Xbyak::Xmm one = xmm_of(scale.part[0]);
    if (f.key.sinks) {
      e.mov(e.scratch(), f.slot(Slot::sink));
      emit_sink(e, scale, maximum, sum, e.scratch());
    } else {
      e.vmovss(one, e.constant(f32(1.0F)));
    }
    e.note("{} / sum", f.key.sinks ? "a" : "1");
    e.vdivss(one, one, xmm_of(sum.part[0]));
    e.vmovss(e.ptr[f.row + row_value_at(RowValue::scale)], one);
  }

  const AttentionFrame& f;
  Emitter& e;
  const V16 acc = e.v16("acc"), value = e.v16("value"), t0 = e.v16("t0"), t1 = e.v16("t1");
  const V16 maximum = e.uniform16("maximum"), sum = e.uniform16("sum");
};

}  // namespace

void emit_softmax(const AttentionFrame& f) {
  Emitter& e = f.e;
  Emitter::VectorScope scope(e);
  Softmax softmax(f);
  const Reg64& rows = f.at_q;
  if (f.key.tokens == 1) {
    softmax.begin_token();
    if (f.heads_at_once() > 1) {
      e.imul(rows, f.slot(Slot::heads_now), f.rows());
    } else {
      e.mov(rows, f.rows());
    }
    return e.repeat(rows, [&] { softmax.emit_row(); });
  }
  // Each token sees one position more, but for whole ranges.
  e.mov(f.slot(Slot::first_token), f.positions);
  const Reg64& tokens = f.heads;
  e.name(tokens, "tokens");
  e.repeat(tokens, f.key.tokens, [&] {
    softmax.begin_token();
    e.repeat(rows, f.key.group, [&] { softmax.emit_row(); });
    e.lea(e.scratch(), e.ptr[f.positions + 1]);
    e.cmp(f.positions, kAttentionRange);
    e.cmovl(f.positions, e.scratch());
  });
  e.name(tokens, "heads");
  e.mov(f.positions, f.slot(Slot::first_token));
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
