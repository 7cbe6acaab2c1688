#include <algorithm>
#include <bit>
#include <cstddef>
#include <vector>

#include "jit/emit/vector_math.h"
#include "jit/kernels/generators.h"
#include "jit/kernels/kv_layout.h"
#include "jit/kernels/token_heads.h"

namespace llamajit::jit {
namespace {

class KvAppendGenerator {
 public:
  KvAppendGenerator(Emitter& emitter, const KvAppendKey& append_key) : e(emitter), key(append_key) {}

  void generate() {
    e.enter();
    if (key.head_dim % kLanes != 0) e.prepare_tail(key.head_dim % kLanes);
    over_tokens<KvAppendArgs>(e, token, [&] {
      find_heads<KvAppendArgs>(e, token, {k, offsetof(KvAppendArgs, k)}, {v, offsetof(KvAppendArgs, v)});
      e.mov(heads, e.ptr[e.args() + offsetof(KvAppendArgs, n_kv_heads)]);
      find_position();
      e.repeat(heads, [&] { append_head(); });
    });
    e.leave();
  }

 private:
  void append_head() {
    for (int block = 0; block < layout.blocks(); ++block) append_block(block);
    for (const Reg64& from : {k, v}) e.add(from, key.head_dim * 4);
    e.advance(k_cache, layout.keys_bytes());
    e.advance(v_cache, layout.values_bytes());
    if (layout.scaled()) {
      e.advance(k_scales, layout.keys_bytes());
      e.advance(v_scales, layout.values_bytes());
    }
  }

  // k_cache and v_cache = where the position's first elements lie, k_scales and v_scales its first scales
  void find_position() {
    const Reg64 &page = k_scales, &lane = e.scratch();
    e.note("the position's page, and its place in there");
    e.name(page, "page");
    e.imul(position, token, sizeof(Cursor));
    e.add(position, e.ptr[e.args() + offsetof(KvAppendArgs, at)]);
    e.mov(page, e.ptr[position + offsetof(Cursor, pages)]);
    e.mov(position.cvt32(), e.ptr[position + offsetof(Cursor, pos)]);
    e.mov(k_cache, position);
    e.shr(k_cache, std::countr_zero(unsigned{kKvPage}));
    e.mov(page, e.ptr[page + k_cache * 8]);
    e.and_(position, kKvPage - 1);

    e.note("where the position's first elements lie");
    e.imul(v_cache, position, layout.value_row_bytes());
    e.add(v_cache, page);
    e.add(v_cache, e.ptr[e.args() + offsetof(KvAppendArgs, values_at)]);
    if (layout.scaled()) {
      e.lea(v_scales, e.ptr[page + position * 4]);
      e.add(v_scales, e.ptr[e.args() + offsetof(KvAppendArgs, values_at)]);
      e.advance(v_scales, layout.value_scale_at(0, 0));
    }
    e.mov(k_cache, position);
    e.shr(k_cache, 4);
    e.imul(k_cache, k_cache, layout.key_group_bytes());
    e.add(k_cache, page);
    e.add(k_cache, e.ptr[e.args() + offsetof(KvAppendArgs, keys_at)]);
    e.mov(lane, position);
    e.and_(lane, kLanes - 1);
    e.name(page, "k_scales");
    if (layout.scaled()) e.lea(k_scales, e.ptr[k_cache + lane * 4]);
    e.lea(k_cache, e.ptr[k_cache + lane * layout.element_bytes()]);
  }

  // The dimensions of one block. A position is a lane of the keys, so that each element goes into another
  // vector; values follow each other.
  void append_block(int block) {
    Emitter::VectorScope scope(e);
    const int first = block * layout.block_dims();
    const auto offset = [](std::int64_t bytes) { return static_cast<std::size_t>(bytes); };
    const int end = std::min(first + layout.block_dims(), key.head_dim);
    const auto lanes = [&](int d) { return std::min(kLanes, end - d); };
    const V16 inverse = e.uniform16("inverse"), value = e.v16("value");
    const auto load = [&](const Reg64& from, int d) {
      e.load_tail(value, from + d * 4, lanes(d));
      if (layout.scaled()) emit_q8_codes(e, value, inverse);
    };
    if (layout.scaled()) emit_scale(k, first, end, k_scales + offset(layout.key_scale_at(0, block)), inverse);
    e.note("keys {} to {}: the position is a lane, each dimension goes to its own vector", first, end - 1);
    for (int d = first; d < end; d += kLanes) {
      load(k, d);
      e.scatter_as(k_cache + offset(layout.key_at(0, d)), layout.vector_bytes(), value, lanes(d), key.type);
    }
    if (layout.scaled()) {
      const std::int64_t from_first = layout.value_scale_at(0, block) - layout.value_scale_at(0, 0);
      emit_scale(v, first, end, v_scales + offset(from_first), inverse);
    }
    e.note("values {} to {}, as a row", first, end - 1);
    for (int d = first; d < end; d += kLanes) {
      load(v, d);
      e.store_as(v_cache + offset(layout.value_at(0, d)), value, key.type);
    }
  }

  // The scale of the dimensions [first, end) at `from`.
  void emit_scale(const Reg64& from, int first, int end, const RegExp& to, const V16& inverse) {
    Emitter::VectorScope scope(e);
    const V16 largest = e.v16("largest"), value = e.v16("value");
    e.note("the scale of dimensions {} to {}", first, end - 1);
    e.zero(largest);
    for (int d = first; d < end; d += kLanes) {
      e.load_tail(value, from + d * 4, std::min(kLanes, end - d));
      e.abs(value, value);
      e.max(largest, value, largest);  // a NaN is passed over
    }
    emit_q8_scale(e, to, inverse, largest, value);
  }

  Emitter& e;
  const KvAppendKey& key;
  const KvLayout layout{key};
  const Reg64 k = e.gpr("k"), v = e.gpr("v"), k_cache = e.gpr("k_cache"), v_cache = e.gpr("v_cache");
  const Reg64 heads = e.gpr("heads"), k_scales = e.gpr("k_scales"), v_scales = e.gpr("v_scales");
  const Reg64 token = e.gpr("token"), position = e.gpr("position");
};

}  // namespace

void generate(Emitter& e, const KvAppendKey& key) {
  KvAppendGenerator(e, key).generate();
}

}  // namespace llamajit::jit
