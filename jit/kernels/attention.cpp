#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>

#include "jit/kernels/attention_frame.h"
#include "jit/kernels/generators.h"

namespace llamajit::jit {

AttentionFrame::AttentionFrame(Emitter& emitter, const AttentionKey& attention_key, RangeResult range_result,
                               int ranges)
    : e(emitter), key(attention_key), result(range_result), n_ranges(ranges), layout(attention_key) {
  assert(key.window == 0 || key.tokens == 1);
  assert(!key.slopes || !key.causal);
  for (std::size_t i = 0; i < kSlotNames.size(); ++i) e.name_stack(8 * static_cast<int>(i), kSlotNames[i]);
}

void AttentionFrame::count_positions(int n) const {
  e.lea(count, e.ptr[positions + (n - 1)]);
  e.shr(count, std::countr_zero(static_cast<unsigned>(n)));
}

// Where each token sees one position more, the first token's position is a multiple of the number of tokens: the last
// one's count is the first one's rounded up to it.
void AttentionFrame::count_all_positions(int n) const {
  const int most = key.causal ? std::max(n, key.tokens) : n;
  e.lea(count, e.ptr[positions + (most - 1)]);
  if (most > n) e.and_(count, -most);
  e.shr(count, std::countr_zero(static_cast<unsigned>(n)));
}

void AttentionFrame::skip_to_window() const {
  e.note("from the group of the window's first position on");
  e.mov(row, at);
  e.and_(row, kLanes - 1);
  e.mov(slot(Slot::unseen), row);
  e.and_(at, kAttentionRange - kLanes);
  e.sub(positions, at);
  e.imul(row, at, layout.value_row_bytes());
  e.add(values, row);
  if (layout.scaled()) {
    e.neg(row);
    e.lea(row, e.ptr[row + at * 4]);
    e.mov(slot(Slot::scales_skipped), row);
  }
  e.shr(at, std::countr_zero(unsigned{kLanes}));
  e.imul(at, at, layout.key_group_bytes());
  e.add(keys, at);
}

void emit_first_seen(Emitter& e, const Reg64& pos, int window) {
  e.note("the window's first position");
  e.xor_(e.scratch(), e.scratch());
  e.sub(pos, window - 1);
  e.cmovl(pos, e.scratch());
}

namespace {

// The walk: K/V heads, some at a time; their ranges; in each range the three steps.
class AttentionGenerator {
 public:
  AttentionGenerator(Emitter& emitter, const AttentionKey& key)
      : e(emitter), f(emitter, key, key.one_range ? RangeResult::whole : RangeResult::merged) {}

  void generate() {
    e.enter(f.stack_bytes());
    if (f.key.head_dim % kLanes != 0) e.prepare_tail(f.key.head_dim % kLanes);
    load_args();
    Xbyak::Label next_heads;
    e.L(next_heads, "next_heads");
    if (f.heads_at_once() > 1) choose_heads();
    merges() ? emit_ranges() : emit_range();
    if (f.key.sinks) next_heads_of(Slot::first_sink);
    if (f.key.slopes) next_heads_of(Slot::first_slope);
    if (f.heads_at_once() > 1) {
      e.mov(f.heads, f.slot(Slot::heads_now));
      e.sub(f.slot(Slot::heads_left), f.heads);
    } else {
      e.dec(f.slot(Slot::heads_left));
    }
    e.jg(next_heads, Emitter::T_NEAR);
    e.leave();
  }

 private:
  bool merges() const { return f.result == RangeResult::merged; }
  Xbyak::Address arg(std::size_t offset) const { return e.ptr[e.args() + offset]; }

  void load_args() {
    e.mov(f.q, arg(offsetof(AttentionArgs, q)));
    e.mov(f.out, arg(offsetof(AttentionArgs, out)));
    e.mov(f.heads, arg(offsetof(AttentionArgs, n_kv_heads)));
    e.mov(f.slot(Slot::heads_left), f.heads);
    if (f.key.sinks) {
      e.mov(f.at, arg(offsetof(AttentionArgs, sinks)));
      e.mov(f.slot(Slot::first_sink), f.at);
    }
    if (f.key.slopes) {
      e.mov(f.at, arg(offsetof(AttentionArgs, slopes)));
      e.mov(f.slot(Slot::first_slope), f.at);
      e.mov(f.slot(Slot::begin), 0);
    }
    e.mov(f.at, arg(offsetof(AttentionArgs, at)));
    if (f.key.slopes) {
      e.mov(f.row, e.ptr[f.at + offsetof(Cursor, own)]);
      e.mov(f.slot(Slot::own), f.row);
    }
    e.mov(f.positions.cvt32(), e.ptr[f.at + offsetof(Cursor, pos)]);
    e.mov(f.row, e.ptr[f.at + offsetof(Cursor, pages)]);
    if (f.key.window > 0 && f.key.causal) {
      e.mov(f.at, f.positions);
      emit_first_seen(e, f.at, f.key.window);
    } else if (f.key.window > 0) {
      e.mov(f.at, e.ptr[f.at + offsetof(Cursor, own)]);
      emit_first_seen(e, f.at, f.key.window / 2 + 1);
    }
    e.inc(f.positions);
    e.mov(f.keys, arg(offsetof(AttentionArgs, keys_at)));
    e.mov(f.values, arg(offsetof(AttentionArgs, values_at)));
    if (!merges()) {
      e.add(f.keys, e.ptr[f.row]);
      e.add(f.values, e.ptr[f.row]);
      if (f.key.window > 0) f.skip_to_window();
      return;
    }
    if (f.key.window > 0) e.mov(f.slot(Slot::first), f.at);
    e.mov(f.slot(Slot::positions), f.positions);
    e.mov(f.slot(Slot::q), f.q);
    e.mov(f.slot(Slot::out), f.out);
    e.mov(f.slot(Slot::keys_at), f.keys);
    e.mov(f.slot(Slot::values_at), f.values);
  }

  // The slot points to a number of each query head.
  void next_heads_of(Slot first) {
    if (f.heads_at_once() > 1) {
      e.imul(f.heads, f.slot(Slot::heads_now), f.key.group * 4);
      e.add(f.slot(first), f.heads);
    } else {
      e.add(f.slot(first), f.key.group * 4);
    }
  }

  void choose_heads() {
    e.note("K/V heads side by side: {} at most", f.heads_at_once());
    e.mov(f.heads, f.slot(Slot::heads_left));
    e.mov(e.scratch(), f.heads_at_once());
    e.cmp(f.heads, e.scratch());
    e.cmovg(f.heads, e.scratch());
    if (merges()) {
      e.mov(e.scratch(), 1);
      e.cmp(f.slot(Slot::positions), kAttentionRange);
      e.cmovg(f.heads, e.scratch());
    }
    e.mov(f.slot(Slot::heads_now), f.heads);
  }

  void emit_ranges() {
    Xbyak::Label next, last;
    e.note("ranges of {} positions", kAttentionRange);
    find_first_range();
    e.L(next, "next_range");
    begin_range();
    emit_range();
    e.cmp(f.slot(Slot::left), kAttentionRange);
    e.jle(last, Emitter::T_NEAR);
    end_range();
    e.jmp(next, Emitter::T_NEAR);
    e.L(last, "last_range");
    // The pointers are at the next heads, but within a page.
    e.mov(f.slot(Slot::q), f.q);
    e.mov(f.slot(Slot::out), f.out);
    e.sub(f.keys, f.slot(Slot::keys_begin));
    e.mov(f.slot(Slot::keys_at), f.keys);
    e.sub(f.values, f.slot(Slot::values_begin));
    e.mov(f.slot(Slot::values_at), f.values);
  }

  void find_first_range() {
    e.mov(f.at, arg(offsetof(AttentionArgs, at)));
    e.mov(f.at, e.ptr[f.at + offsetof(Cursor, pages)]);
    e.mov(e.scratch(), f.slot(Slot::positions));
    if (f.key.window > 0) {
      e.mov(f.row, f.slot(Slot::first));
      e.mov(f.slot(Slot::range_first), f.row);
      e.shr(f.row, kLog2AttentionRange);
      e.lea(f.at, e.ptr[f.at + f.row * 8]);
      e.shl(f.row, kLog2AttentionRange);
      e.sub(e.scratch(), f.row);
    }
    e.mov(f.slot(Slot::page), f.at);
    e.mov(f.slot(Slot::left), e.scratch());
    e.mov(f.slot(Slot::later), 0);
    if (f.key.slopes) e.mov(f.slot(Slot::begin), 0);
  }

  void begin_range() {
    e.note("the range's positions, and where it lies");
    e.mov(f.positions, f.slot(Slot::left));
    e.mov(e.scratch(), kAttentionRange);
    e.cmp(f.positions, e.scratch());
    e.cmovg(f.positions, e.scratch());
    e.mov(f.q, f.slot(Slot::q));
    e.mov(f.out, f.slot(Slot::out));
    e.mov(f.keys, f.slot(Slot::page));
    e.mov(f.keys, e.ptr[f.keys]);
    e.mov(f.values, f.keys);
    if (f.key.window > 0) {
      e.mov(f.at, f.slot(Slot::range_first));
      f.skip_to_window();
    }
    e.mov(f.slot(Slot::keys_begin), f.keys);
    e.mov(f.slot(Slot::values_begin), f.values);
    e.add(f.keys, f.slot(Slot::keys_at));
    e.add(f.values, f.slot(Slot::values_at));
  }

  void end_range() {
    e.note("on to the next range");
    e.sub(f.slot(Slot::left), kAttentionRange);
    e.mov(f.slot(Slot::later), 1);
    if (f.key.slopes) e.add(f.slot(Slot::begin), kAttentionRange);
    e.add(f.slot(Slot::page), 8);
    if (f.key.window > 0) e.mov(f.slot(Slot::range_first), 0);
  }

  void emit_range() {
    for_heads([&] { emit_scores(f); });
    e.mov(f.row, arg(offsetof(AttentionArgs, scratch)));
    emit_softmax(f);
    for_heads([&] { emit_values(f); });
  }

  template <class Body>
  void for_heads(Body body) {
    e.mov(f.scores, arg(offsetof(AttentionArgs, scratch)));
    if (f.heads_at_once() == 1) return body();
    e.mov(f.heads, f.slot(Slot::heads_now));
    e.repeat(f.heads, body);
  }

  Emitter& e;
  const AttentionFrame f;
};

}  // namespace

void generate(Emitter& e, const AttentionKey& key) {
  AttentionGenerator(e, key).generate();
}

}  // namespace llamajit::jit
