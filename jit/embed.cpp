#include "jit/formats/packing.h"
#include "jit/generators.h"

namespace llamajit::jit {
namespace {

// A row is a lane of its tile, so its values lie a whole vector apart; a token needs one row, and the copy
// costs less than keeping the embedding a second time, row-major.
class EmbedGenerator {
 public:
  EmbedGenerator(Emitter& emitter, const EmbedKey& embed_key) : e(emitter), key(embed_key) {}

  void generate() {
    e.enter();
    find_row();
    e.mov(out, e.ptr[e.args() + offsetof(EmbedArgs, out)]);
    key.format.kind == FormatKind::f32 ? copy_f32() : decode_q8();
    e.leave();
  }

 private:
  // row = table + token / 16 * tile_bytes + token % 16 * 4; codes and floats both take 4 bytes a lane.
  void find_row() {
    e.note("row = table + token / 16 * tile_bytes + token % 16 * 4");
    e.mov(row, e.ptr[e.args() + offsetof(EmbedArgs, at)]);
    e.mov(row.cvt32(), e.ptr[row + offsetof(Cursor, token)]);
    e.mov(e.scratch(), row);
    e.shr(e.scratch(), 4);
    e.mov(out, static_cast<std::uint64_t>(tile_bytes(key.format, key.dim)));
    e.imul(e.scratch(), out);
    e.and_(row, 15);
    e.lea(row, e.ptr[e.scratch() + row * 4]);
    e.add(row, e.ptr[e.args() + offsetof(EmbedArgs, table)]);
  }

  void copy_f32() {
    constexpr int kUnroll = 8;
    const Vec value = Xbyak::Xmm(0);
    e.name(value, "value");
    const auto copy = [&](int i) {
      e.vmovss(value, e.ptr[row + i * kLanes * 4]);
      e.vmovss(e.ptr[out + i * 4], value);
    };
    e.repeat(count, key.dim / kUnroll, [&] {
      for (int i = 0; i < kUnroll; ++i) copy(i);
      e.add(row, kUnroll * kLanes * 4);
      e.add(out, kUnroll * 4);
    });
    for (int i = 0; i < key.dim % kUnroll; ++i) copy(i);
  }

  // value = (code - 128) * scale, four codes at a time
  void decode_q8() {
    const Q8Layout layout(key.format);
    const Xbyak::Xmm scale(0), value(1), zero(2);
    for (const auto& [reg, role] : {std::pair{&scale, "scale"}, {&value, "value"}, {&zero, "zero_code"}}) {
      e.name(*reg, role);
    }
    e.vmovdqu(zero, e.constant(i32(128)));
    e.repeat(groups, key.dim / layout.group, [&] {
      e.note("a group of {} codes", layout.group);
      e.vbroadcastss(scale, e.ptr[row + static_cast<int>(layout.codes_bytes)]);
      e.repeat(count, layout.group / 4, [&] {
        decode_four(scale, value, zero);
        e.vmovups(e.ptr[out], value);
        e.add(row, 4 * kLanes);
        e.add(out, 16);
      });
      const int rest = layout.group % 4;
      if (rest != 0) {
        decode_four(scale, value, zero);
        for (int i = 0; i < rest; ++i) e.vextractps(e.ptr[out + i * 4], value, static_cast<std::uint8_t>(i));
        e.add(row, 4 * kLanes);
        e.add(out, rest * 4);
      }
      e.add(row, 4 * kLanes);  // past the scales
    });
  }

  void decode_four(const Xbyak::Xmm& scale, const Xbyak::Xmm& value, const Xbyak::Xmm& zero) {
    e.note("value = (code - 128) * scale, four codes at a time");
    e.vpmovzxbd(value, e.ptr[row]);
    e.vpsubd(value, value, zero);
    e.vcvtdq2ps(value, value);
    e.vmulps(value, value, scale);
  }

  Emitter& e;
  const EmbedKey& key;
  const Reg64 row = e.gpr("row"), out = e.gpr("out"), groups = e.gpr("groups"), count = e.gpr("count");
};

}  // namespace

void generate(Emitter& e, const EmbedKey& key) {
  EmbedGenerator(e, key).generate();
}

}  // namespace llamajit::jit
