// Brings the records of a K/V head's ranges together.
#include <algorithm>
#include <cstddef>

#include "jit/kernels/attention_frame.h"
#include "jit/kernels/generators.h"

namespace llamajit::jit {
namespace {

class AttentionMergeGenerator {
 public:
  AttentionMergeGenerator(Emitter& emitter, const AttentionMergeKey& merge_key)
      : e(emitter), key(merge_key) {}

  void generate() {
    e.enter();
    if (key.head_dim % kLanes != 0) e.prepare_tail(key.head_dim % kLanes);
    e.mov(records, e.ptr[e.args() + offsetof(AttentionMergeArgs, records)]);
    e.mov(out, e.ptr[e.args() + offsetof(AttentionMergeArgs, out)]);
    e.mov(heads, e.ptr[e.args() + offsetof(AttentionMergeArgs, n_heads)]);
    if (key.sinks) e.mov(sinks, e.ptr[e.args() + offsetof(AttentionMergeArgs, sinks)]);
    e.mov(more, e.ptr[e.args() + offsetof(AttentionMergeArgs, at)]);
    e.mov(more.cvt32(), e.ptr[more + offsetof(Cursor, pos)]);
    if (key.window > 0) {
      e.mov(first, more);
      emit_first_seen(e, first, key.window);
      e.shr(first, kLog2AttentionRange);
    }
    e.shr(more, kLog2AttentionRange);
    if (key.window > 0) {
      e.sub(more, first);
      e.imul(first, first, record_bytes);
    }
    e.repeat(heads, [&] { merge_head(); });
    e.leave();
  }

 private:
  void merge_head() {
    e.note("the first range's record");
    e.mov(at, records);
    if (key.window > 0) e.add(at, first);
    load_maximum_and_sum(m, l);
    over_out([&](int d, int lanes) {
      e.load_tail(value, at + d * 4, lanes);
      e.store_tail(out + d * 4, value, lanes);
    });
    e.mov(count, more);
    e.while_at_least(count, 1, [&] {
      e.note("the next range's: out = o * b + out * a");
      e.add(at, record_bytes);
      load_maximum_and_sum(a, b);
      emit_merge(e, m, l, a, b);
      over_out([&](int d, int lanes) {
        e.load_tail(before, out + d * 4, lanes);
        e.mul(before, before, a);
        e.load_tail(value, at + d * 4, lanes);
        e.fma(before, value, b);
        e.store_tail(out + d * 4, before, lanes);
      });
    });
    if (key.sinks) {
      emit_sink(e, a, m, l, sinks);
    } else {
      e.broadcast(a, f32(1.0F));
    }
    e.note("out *= {} / l", key.sinks ? "a" : "1");
    e.div(a, a, l);
    over_out([&](int d, int lanes) {
      e.load_tail(value, out + d * 4, lanes);
      e.muladd(value, a, f32(0.0F));
      e.store_tail(out + d * 4, value, lanes);
    });
    e.add(records, key.ranges * record_bytes);
    e.add(out, key.head_dim * 4);
    if (key.sinks) e.add(sinks, 4);
  }

  void load_maximum_and_sum(const V16& maximum, const V16& sum) {
    const int behind = static_cast<int>(round_up(key.head_dim, kLanes)) * 4;
    e.broadcast(maximum, at + behind);
    e.broadcast(sum, at + (behind + 4));
  }

  template <class Body>
  void over_out(Body body) {
    for (int d = 0; d < key.head_dim; d += kLanes) body(d, std::min(kLanes, key.head_dim - d));
  }

  Emitter& e;
  const AttentionMergeKey& key;
  const int record_bytes = static_cast<int>(attention_record(key.head_dim)) * 4;
  const Reg64 records = e.gpr("records"), out = e.gpr("out"), heads = e.gpr("heads"), at = e.gpr("at");
  const Reg64 count = e.gpr("count");
  const Reg64 more = e.gpr("more");    // ranges behind the first
  const Reg64 first = e.gpr("first");  // bytes of the records before that of the window's first range
  const Reg64 sinks = e.gpr("sinks");
  const V16 m = e.uniform16("m"), l = e.uniform16("l"), a = e.uniform16("a"), b = e.uniform16("b");
  const V16 value = e.v16("value"), before = e.v16("before");
};

}  // namespace

void generate(Emitter& e, const AttentionMergeKey& key) {
  AttentionMergeGenerator(e, key).generate();
}

}  // namespace llamajit::jit
