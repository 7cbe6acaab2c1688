#include "jit/kernels/delta.h"

#include <cstddef>
#include <initializer_list>
#include <vector>

#include "jit/kernels/generators.h"

namespace llamajit::jit {
namespace {

constexpr int kRows = 4;               // of S in a turn of the loops over them
constexpr int kRowBytes = kLanes * 4;  // of a tile

// A block of tiles goes through all tokens before the next one does, so that it stays in the first-level
// cache. There are as many tiles in it as hide each other's latency, where the registers allow.
class DeltaGenerator {
 public:
  DeltaGenerator(Emitter& emitter, const DeltaKey& delta_key) : e(emitter), key(delta_key) {}

  void generate() {
    const int whole = key.value_dim / (block * kLanes);  // blocks
    const int rest = key.value_dim % (block * kLanes);
    e.enter();
    if (rest % kLanes != 0) e.prepare_tail(rest % kLanes);
    e.note("S");
    e.mov(state, arg(offsetof(DeltaArgs, at)));
    e.mov(state, e.ptr[state + offsetof(Cursor, state)]);
    e.add(state, arg(offsetof(DeltaArgs, state_at)));
    e.xor_(column, column);
    e.repeat(blocks, whole, [&] {
      over_tokens(block, kLanes);
      e.advance(state, std::int64_t{block} * tile_bytes());
      e.add(column, block * kLanes * 4);
    });
    if (rest > 0) over_tokens(static_cast<int>(divide_up(rest, kLanes)), (rest - 1) % kLanes + 1);
    e.leave();
  }

 private:
  Xbyak::Address arg(std::size_t offset) const { return e.ptr[e.args() + offset]; }
  int tile_bytes() const { return key.key_dim * kRowBytes; }

  // A block of so many tiles, the last of which has so many lanes within value_dim.
  void over_tokens(int tiles, int lanes) {
    e.note("the first token's vectors, v and out from this block's first column on");
    e.mov(q, arg(offsetof(DeltaArgs, q)));
    e.mov(k, arg(offsetof(DeltaArgs, k)));
    e.mov(v, arg(offsetof(DeltaArgs, v)));
    e.mov(out, arg(offsetof(DeltaArgs, out)));
    for (const Reg64& pointer : {v, out}) e.add(pointer, column);
    e.xor_(gate, gate);
    e.mov(tokens, arg(offsetof(DeltaArgs, n_tokens)));
    const auto lanes_of = [&](int tile) { return tile == tiles - 1 ? lanes : kLanes; };
    e.repeat(tokens, [&] {
      recall(tiles);
      for (int tile = 0; tile < tiles; ++tile) correct(tile, lanes_of(tile));
      learn(tiles);
      for (int tile = 0; tile < tiles; ++tile)
        e.store_tail(out + tile * kRowBytes, at(o, tile), lanes_of(tile));
      next_token();
    });
  }

  static const V16& at(const std::vector<V16>& values, int tile) {
    return values[static_cast<std::size_t>(tile)];
  }
  RegExp place(int tile, int i) const { return row + tile * tile_bytes() + i * kRowBytes; }

  // Runs body(i) for all rows, row i of this turn's.
  template <class Body>
  void over_rows(Body body) {
    e.mov(row, state);
    e.xor_(index, index);
    e.repeat(count, key.key_dim / kRows, [&] {
      for (int i = 0; i < kRows; ++i) body(i);
      e.add(row, kRows * kRowBytes);
      e.add(index, kRows * 4);
    });
    for (int i = 0; i < key.key_dim % kRows; ++i) body(i);
  }

  // The value of a gate of this token's.
  void load_gate(const V16& to, std::size_t gates) {
    e.mov(e.scratch(), arg(gates));
    e.broadcast(to, e.scratch() + gate);
  }

  void recall(int tiles) {
    e.note("m = k S * decay");
    load_gate(decay, offsetof(DeltaArgs, decay));
    e.name(d, "m[tile]");
    for (int tile = 0; tile < tiles; ++tile) e.zero(at(d, tile));
    over_rows([&](int i) {
      e.broadcast(key_value, k + index + i * 4);
      for (int tile = 0; tile < tiles; ++tile) {
        e.mul(at(s, tile), decay, place(tile, i));
        e.fma(at(d, tile), at(s, tile), key_value);
      }
    });
    e.note("d = (v - m) * rate");
    load_gate(query, offsetof(DeltaArgs, rate));
    e.name(query, "rate");
  }

  void correct(int tile, int lanes) {
    e.load_tail(at(s, tile), v + tile * kRowBytes, lanes);
    e.sub(at(d, tile), at(s, tile), at(d, tile));
    e.mul(at(d, tile), at(d, tile), query);
  }

  // A row's stores come behind all of its loads: tiles may lie a multiple of 4096 bytes apart, and a load
  // waits for a store that differs from it by such.
  void learn(int tiles) {
    e.note("S = S * decay + k d, out = q S");
    e.name(d, "d[tile]");
    e.name(query, "query");
    for (int tile = 0; tile < tiles; ++tile) e.zero(at(o, tile));
    over_rows([&](int i) {
      e.broadcast(key_value, k + index + i * 4);
      e.broadcast(query, q + index + i * 4);
      for (int tile = 0; tile < tiles; ++tile) e.mul(at(s, tile), decay, place(tile, i));
      for (int tile = 0; tile < tiles; ++tile) {
        e.fma(at(s, tile), at(d, tile), key_value);
        e.store(place(tile, i), at(s, tile));
        e.fma(at(o, tile), at(s, tile), query);
      }
    });
  }

  void next_token() {
    e.note("the next token");
    const auto move = [&](std::size_t stride, std::initializer_list<Reg64> pointers) {
      e.mov(e.scratch(), arg(stride));
      for (const Reg64& pointer : pointers) e.lea(pointer, e.ptr[pointer + e.scratch() * 4]);
    };
    move(offsetof(DeltaArgs, qk_stride), {q, k});
    move(offsetof(DeltaArgs, v_stride), {v});
    move(offsetof(DeltaArgs, out_stride), {out});
    move(offsetof(DeltaArgs, gate_stride), {gate});
  }

  Emitter& e;
  const DeltaKey& key;
  const Reg64 q = e.gpr("q"), k = e.gpr("k"), v = e.gpr("v"), out = e.gpr("out"), gate = e.gpr("gate");
  const Reg64 state = e.gpr("state"), row = e.gpr("row"), index = e.gpr("index"), count = e.gpr("count");
  const Reg64 tokens = e.gpr("tokens"), column = e.gpr("column"), blocks = e.gpr("blocks");
  const int block = e.isa().wide() ? 4 : 2;  // tiles
  const std::vector<V16> d = e.v16s(block, "m[tile]");
  const std::vector<V16> o = e.v16s(block, "out[tile]");
  const std::vector<V16> s = e.v16s(block, "s[tile]");
  const V16 decay = e.uniform16("decay"), key_value = e.uniform16("key"), query = e.uniform16("query");
};

}  // namespace

void generate(Emitter& e, const DeltaKey& key) {
  DeltaGenerator(e, key).generate();
}

}  // namespace llamajit::jit
