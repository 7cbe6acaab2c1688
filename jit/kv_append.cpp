#include <cstddef>

#include "jit/generators.h"
#include "jit/kv_layout.h"

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
      e.advance(k_cache, layout.keys_bytes());
      e.advance(v_cache, layout.values_bytes());
    });
    e.leave();
  }

 private:
  // k_cache += (pos / 16) groups and pos % 16 elements; v_cache += pos rows
  void find_position() {
    e.mov(v_cache, e.ptr[e.args() + offsetof(KvAppendArgs, at)]);
    e.mov(v_cache.cvt32(), e.ptr[v_cache + offsetof(Cursor, pos)]);
    e.mov(k_cache, v_cache);
    e.mov(e.scratch(), v_cache);
    e.shr(k_cache, 4);
    e.imul(k_cache, k_cache, layout.key_group_bytes());
    e.and_(e.scratch(), kLanes - 1);
    e.lea(k_cache, e.ptr[k_cache + e.scratch() * layout.element_bytes()]);
    e.add(k_cache, e.ptr[e.args() + offsetof(KvAppendArgs, k_cache)]);
    e.imul(v_cache, v_cache, layout.value_row_bytes());
    e.add(v_cache, e.ptr[e.args() + offsetof(KvAppendArgs, v_cache)]);
  }

  // The position is a lane: one value goes into each vector of the group.
  void append_key_vector() {
    for (int d = 0; d < key.head_dim; ++d) {
      e.convert_one(k_cache + d * layout.vector_bytes(), k + d * 4, key.type, temp);
    }
  }

  void append_value_vector() {
    for (int d = 0; d < key.head_dim; d += kLanes) {
      e.load_tail(value, v + d * 4, std::min(kLanes, key.head_dim - d));
      e.store_as(v_cache + d * layout.element_bytes(), value, key.type);
    }
  }

  Emitter& e;
  const KvAppendKey& key;
  const KvLayout layout{key};
  const Reg64 k = e.gpr(), v = e.gpr(), k_cache = e.gpr(), v_cache = e.gpr(), heads = e.gpr();
  const Reg64 temp = e.gpr();
  const V16 value = e.v16();
};

}  // namespace

void generate(Emitter& e, const KvAppendKey& key) {
  KvAppendGenerator(e, key).generate();
}

}  // namespace llamajit::jit
