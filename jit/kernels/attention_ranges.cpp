// One thread's ranges of a K/V head that several threads share: each leaves a record.
#include <cstddef>

#include "jit/kernels/attention_frame.h"
#include "jit/kernels/generators.h"

namespace llamajit::jit {
namespace {

class AttentionRangesGenerator {
 public:
  AttentionRangesGenerator(Emitter& emitter, const AttentionRangesKey& key)
      : e(emitter), f(emitter, key.whole(), RangeResult::record, key.ranges) {}

  void generate() {
    e.enter(f.stack_bytes());
    if (f.key.head_dim % kLanes != 0) e.prepare_tail(f.key.head_dim % kLanes);
    Xbyak::Label next, done;
    find_last();
    e.sub(range, arg(offsetof(AttentionRangesArgs, part)));
    if (f.key.window > 0) e.cmp(range, f.slot(Slot::first_range));
    e.jl(done, Emitter::T_NEAR);
    e.L(next, "next_range");
    begin_range();
    emit_range();
    e.sub(range, arg(offsetof(AttentionRangesArgs, parts)));
    if (f.key.window > 0) e.cmp(range, f.slot(Slot::first_range));
    e.jge(next, Emitter::T_NEAR);
    e.L(done, "done");
    e.leave();
  }

 private:
  Xbyak::Address arg(std::size_t offset) const { return e.ptr[e.args() + offset]; }

  // range = the number of the last one; slots: that number too, and the positions of it; with a window its
  // first position, and the number of that one's range
  void find_last() {
    e.note("the last range: its number, and how many positions it has");
    e.mov(range, arg(offsetof(AttentionRangesArgs, at)));
    e.mov(range.cvt32(), e.ptr[range + offsetof(Cursor, pos)]);
    if (f.key.window > 0) {
      e.mov(f.at, range);
      emit_first_seen(e, f.at, f.key.window);
      e.mov(f.slot(Slot::first), f.at);
      e.shr(f.at, kLog2AttentionRange);
      e.mov(f.slot(Slot::first_range), f.at);
    }
    e.lea(f.positions, e.ptr[range + 1]);
    e.shr(range, kLog2AttentionRange);
    e.mov(f.slot(Slot::last), range);
    e.imul(f.at, range, kAttentionRange);
    e.sub(f.positions, f.at);
    e.mov(f.slot(Slot::positions), f.positions);
  }

  void begin_range() {
    e.note("a range's positions, and where it and its record lie");
    e.mov(f.positions, kAttentionRange);
    e.cmp(range, f.slot(Slot::last));
    e.cmove(f.positions, f.slot(Slot::positions));
    e.mov(f.keys, arg(offsetof(AttentionRangesArgs, at)));
    e.mov(f.keys, e.ptr[f.keys + offsetof(Cursor, pages)]);
    e.mov(f.keys, e.ptr[f.keys + range * 8]);
    e.mov(f.values, f.keys);
    e.add(f.keys, arg(offsetof(AttentionRangesArgs, keys_at)));
    e.add(f.values, arg(offsetof(AttentionRangesArgs, values_at)));
    if (f.key.window > 0) {
      e.xor_(f.at, f.at);
      e.cmp(range, f.slot(Slot::first_range));
      e.cmove(f.at, f.slot(Slot::first));
      f.skip_to_window();
    }
    e.imul(f.out, range, static_cast<int>(attention_record(f.key.head_dim)) * 4);
    e.add(f.out, arg(offsetof(AttentionRangesArgs, records)));
    e.mov(f.q, arg(offsetof(AttentionRangesArgs, q)));
    e.mov(f.scores, arg(offsetof(AttentionRangesArgs, scratch)));
  }

  void emit_range() {
    emit_scores(f);
    e.mov(f.row, arg(offsetof(AttentionRangesArgs, scratch)));
    emit_softmax(f);
    e.mov(f.scores, arg(offsetof(AttentionRangesArgs, scratch)));
    copy_maxima_and_sums();
    emit_values(f);
  }

  // Each row's m and l, which lie side by side, into its record.
  void copy_maxima_and_sums() {
    const int behind = static_cast<int>(round_up(f.key.head_dim, kLanes)) * 4;
    e.note("each head's maximum and sum, into its record");
    for (int i = 0; i < f.rows(); ++i) {
      e.mov(e.scratch(), e.ptr[f.scores + (score_row_at(i) + row_value_at(RowValue::maximum))]);
      e.mov(e.ptr[f.out + (f.out_at(i) + behind)], e.scratch());
    }
  }

  Emitter& e;
  const AttentionFrame f;
  const Reg64& range = f.heads;  // its number; of heads there is but one
};

}  // namespace

void generate(Emitter& e, const AttentionRangesKey& key) {
  AttentionRangesGenerator(e, key).generate();
}

}  // namespace llamajit::jit
