#include "jit/generators.h"

namespace llamajit::jit {
namespace {

class KvAppendGenerator {
 public:
  KvAppendGenerator(Emitter& emitter, const KvAppendKey& append_key) : e(emitter), key(append_key) {}

  void generate() {
    e.enter();
    if (key.head_dim % kLanes != 0) e.prepare_tail(key.head_dim % kLanes);
    e.mov(k, e.ptr[e.args() + offsetof(KvAppendArgs, k)]);
    e.mov(v, e.ptr[e.args() + offsetof(KvAppendArgs, v)]);
    e.mov(heads, e.ptr[e.args() + offsetof(KvAppendArgs, n_kv_heads)]);
    find_position();
    e.repeat(heads, [&] {
      append_key_vector();
      append_value_vector();
      for (const Reg64& from : {k, v}) e.add(from, key.head_dim * 4);
      for (const Reg64& to : {k_cache, v_cache}) e.advance(to, std::int64_t{key.seq_len} * key.head_dim * 4);
    });
    e.leave();
  }

 private:
  // k_cache += (pos / 16 * head_dim * 16 + pos % 16) * 4;  v_cache += pos * head_dim * 4
  void find_position() {
    e.mov(v_cache, e.ptr[e.args() + offsetof(KvAppendArgs, at)]);
    e.mov(v_cache.cvt32(), e.ptr[v_cache + offsetof(Cursor, pos)]);
    e.mov(k_cache, v_cache);
    e.mov(e.scratch(), v_cache);
    e.shr(k_cache, 4);
    e.imul(k_cache, k_cache, key.head_dim * kLanes * 4);
    e.and_(e.scratch(), kLanes - 1);
    e.lea(k_cache, e.ptr[k_cache + e.scratch() * 4]);
    e.add(k_cache, e.ptr[e.args() + offsetof(KvAppendArgs, k_cache)]);
    e.imul(v_cache, v_cache, key.head_dim * 4);
    e.add(v_cache, e.ptr[e.args() + offsetof(KvAppendArgs, v_cache)]);
  }

  // The position is a lane: one value goes into each vector of the group.
  void append_key_vector() {
    for (int d = 0; d < key.head_dim; ++d) {
      e.mov(e.scratch().cvt32(), e.ptr[k + d * 4]);
      e.mov(e.ptr[k_cache + d * kLanes * 4], e.scratch().cvt32());
    }
  }

  void append_value_vector() {
    for (int d = 0; d < key.head_dim; d += kLanes) {
      const int lanes = std::min(kLanes, key.head_dim - d);
      e.load_tail(value, v + d * 4, lanes);
      e.store_tail(v_cache + d * 4, value, lanes);
    }
  }

  Emitter& e;
  const KvAppendKey& key;
  const Reg64 k = e.gpr(), v = e.gpr(), k_cache = e.gpr(), v_cache = e.gpr(), heads = e.gpr();
  const V16 value = e.v16();
};

}  // namespace

void generate(Emitter& e, const KvAppendKey& key) {
  KvAppendGenerator(e, key).generate();
}

}  // namespace llamajit::jit
