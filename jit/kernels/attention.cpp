#include <algorithm>
#include <bit>
#include <cstddef>
#include <utility>

#include "jit/kernels/attention_frame.h"
#include "jit/kernels/generators.h"

namespace llamajit::jit {

AttentionFrame::AttentionFrame(Emitter& emitter, const AttentionKey& attention_key, RangeResult range_result)
    : e(emitter), key(attention_key), result(range_result), layout(attention_key) {
  for (const auto& [slot, name] : {std::pair{Slot::heads_left, "heads_left"},
                                   {Slot::heads_now, "heads_now"},
                                   {Slot::positions, "positions"},
                                   {Slot::left, "left"},
                                   {Slot::last, "last"},
                                   {Slot::later, "later"},
                                   {Slot::q, "q"},
                                   {Slot::out, "out"},
                                   {Slot::keys, "keys"},
                                   {Slot::values, "values"},
                                   {Slot::first_token, "first_token"},
                                   {Slot::keys_done, "keys_done"},
                                   {Slot::values_done, "values_done"},
                                   {Slot::scales_done, "scales_done"}}) {
    e.name_stack(8 * static_cast<int>(slot), name);
  }
}

void AttentionFrame::count_positions(int n) const {
  e.lea(count, e.ptr[positions + (n - 1)]);
  e.shr(count, std::countr_zero(static_cast<unsigned>(n)));
}

// The first token's position is a multiple of the number of tokens: the last one's count is the first one's
// rounded up to it.
void AttentionFrame::count_all_positions(int n) const {
  const int most = std::max(n, key.tokens);
  e.lea(count, e.ptr[positions + (most - 1)]);
  if (most > n) e.and_(count, -most);
  e.shr(count, std::countr_zero(static_cast<unsigned>(n)));
}

namespace {

// The walk: K/V heads, some at a time; their ranges; in each range the three steps.
class AttentionGenerator {
 public:
  AttentionGenerator(Emitter& emitter, const AttentionKey& key)
      : e(emitter),
        f(emitter, key, key.seq_len > kAttentionRange ? RangeResult::merged : RangeResult::whole) {}

  void generate() {
    e.enter(f.stack_bytes());
    if (f.key.head_dim % kLanes != 0) e.prepare_tail(f.key.head_dim % kLanes);
    load_args();
    Xbyak::Label next_heads;
    e.L(next_heads, "next_heads");
    if (f.heads_at_once() > 1) choose_heads();
    merges() ? emit_ranges() : emit_range();
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
    e.mov(f.keys, arg(offsetof(AttentionArgs, k_cache)));
    e.mov(f.values, arg(offsetof(AttentionArgs, v_cache)));
    e.mov(f.out, arg(offsetof(AttentionArgs, out)));
    e.mov(f.heads, arg(offsetof(AttentionArgs, n_kv_heads)));
    e.mov(f.slot(Slot::heads_left), f.heads);
    e.mov(f.positions, arg(offsetof(AttentionArgs, at)));
    e.mov(f.positions.cvt32(), e.ptr[f.positions + offsetof(Cursor, pos)]);
    e.inc(f.positions);
    if (!merges()) return;
    e.mov(f.slot(Slot::positions), f.positions);
    e.mov(f.slot(Slot::q), f.q);
    e.mov(f.slot(Slot::out), f.out);
    e.mov(f.slot(Slot::keys), f.keys);
    e.mov(f.slot(Slot::values), f.values);
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
    e.mov(e.scratch(), f.slot(Slot::positions));
    e.mov(f.slot(Slot::left), e.scratch());
    e.xor_(e.scratch(), e.scratch());
    for (const auto zero : {Slot::later, Slot::keys_done, Slot::values_done, Slot::scales_done}) {
      e.mov(f.slot(zero), e.scratch());
    }
    e.L(next, "next_range");
    begin_range();
    emit_range();
    e.cmp(f.slot(Slot::left), kAttentionRange);
    e.jle(last, Emitter::T_NEAR);
    end_range();
    e.jmp(next, Emitter::T_NEAR);
    e.L(last, "last_range");
    // The pointers are at the next heads, but within a range.
    e.mov(f.slot(Slot::q), f.q);
    e.mov(f.slot(Slot::out), f.out);
    e.sub(f.keys, f.slot(Slot::keys_done));
    e.mov(f.slot(Slot::keys), f.keys);
    e.sub(f.values, f.slot(Slot::values_done));
    e.mov(f.slot(Slot::values), f.values);
  }

  void begin_range() {
    e.note("the range's positions, and where it lies");
    e.mov(f.positions, f.slot(Slot::left));
    e.mov(e.scratch(), kAttentionRange);
    e.cmp(f.positions, e.scratch());
    e.cmovg(f.positions, e.scratch());
    e.mov(f.q, f.slot(Slot::q));
    e.mov(f.out, f.slot(Slot::out));
    e.mov(f.keys, f.slot(Slot::keys));
    e.add(f.keys, f.slot(Slot::keys_done));
    e.mov(f.values, f.slot(Slot::values));
    e.add(f.values, f.slot(Slot::values_done));
  }

  void end_range() {
    e.note("on to the next range");
    const int values = kAttentionRange * f.layout.value_row_bytes();
    e.sub(f.slot(Slot::left), kAttentionRange);
    e.mov(f.slot(Slot::later), 1);
    e.add(f.slot(Slot::keys_done), kAttentionRange / kLanes * f.layout.key_group_bytes());
    e.add(f.slot(Slot::values_done), values);
    if (f.layout.scaled()) e.add(f.slot(Slot::scales_done), kAttentionRange * 4 - values);
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
