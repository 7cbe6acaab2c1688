#include "jit/formats/packing.h"
#include "jit/formats/triples.h"
#include "jit/kernels/generators.h"
#include "jit/kernels/unpacker.h"

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
    has_codes(key.format) ? decode() : copy_floats();
    e.leave();
  }

 private:
  // tile = table + row / 16 * tile_bytes; lane = row % 16
  void find_row() {
    if (key.which == EmbedRow::first) {
      e.note("tile = table; lane = 0");
      e.xor_(lane, lane);
      e.mov(tile, e.ptr[e.args() + offsetof(EmbedArgs, table)]);
      return;
    }
    const bool of_position = key.which == EmbedRow::position;
    const char* const row = of_position ? "pos" : "token";
    e.note("tile = table + {} / 16 * tile_bytes; lane = {} % 16", row, row);
    e.mov(lane, e.ptr[e.args() + offsetof(EmbedArgs, at)]);
    e.mov(lane.cvt32(), e.ptr[lane + (of_position ? offsetof(Cursor, pos) : offsetof(Cursor, token))]);
    e.mov(tile, lane);
    e.shr(tile, 4);
    e.mov(out, static_cast<std::uint64_t>(tile_bytes(key.format, key.dim)));
    e.imul(tile, out);
    e.and_(lane, 15);
    e.add(tile, e.ptr[e.args() + offsetof(EmbedArgs, table)]);
  }

  // --- floats
  // ----------------------------------------------------------------------------------------------------------
  void copy_floats() {
    constexpr int kUnroll = 8;
    const bool pairs = key.format.kind == FormatKind::bf16_pairs;
    const int lane_bytes = pairs || key.format.kind == FormatKind::f32 ? 4 : 2;
    const auto column = [&](int k) {  // where it is, from the lane
      return pairs ? k / 2 * kLanes * lane_bytes + k % 2 * 2 : k * kLanes * lane_bytes;
    };
    e.name(value, "value");
    e.note("the row's values, from each vector's lane");
    e.lea(tile, e.ptr[tile + lane * lane_bytes]);
    e.repeat(count, key.dim / kUnroll, [&] {
      for (int k = 0; k < kUnroll; ++k) copy_float(tile + column(k), out + k * 4);
      e.add(tile, column(kUnroll));
      e.add(out, kUnroll * 4);
    });
    for (int k = 0; k < key.dim % kUnroll; ++k) copy_float(tile + column(k), out + k * 4);
  }

  void copy_float(const RegExp& from, const RegExp& to) {
    const Xbyak::Reg32 bits = e.scratch().cvt32();
    copy_bits(from, bits);
    if (key.adds() || key.scale != 1) {
      e.vmovd(value, bits);
      if (key.scale != 1) e.vmulss(value, value, e.constant(f32(key.scale)));
      if (key.adds()) e.vaddss(value, value, e.ptr[to]);
      e.vmovd(bits, value);
    }
    e.mov(e.ptr[to], bits);
  }

  // bits = those of the f32
  void copy_bits(const RegExp& from, const Xbyak::Reg32& bits) {
    if (key.format.kind == FormatKind::f32) {
      e.mov(bits, e.ptr[from]);
    } else {
      e.movzx(bits, e.word[from]);
      if (key.format.kind == FormatKind::f16) {
        e.vmovd(value, bits);
        e.vcvtph2ps(value, value);
        e.vmovd(bits, value);
      } else {
        e.shl(bits, 16);
      }
    }
  }

  // --- codes: four columns at a time
  // -----------------------------------------------------------------------------------
  void decode() {
    for (const auto& [reg, role] : {std::pair{&scale, "scale"},
                                    {&min, "min"},
                                    {&value, "value"},
                                    {&zero, "zero_code"},
                                    {&table, "table"}}) {
      e.name(*reg, role);
    }
    if (layout.lift > 0) e.name(lift, "lift");
    if (layout.has_large_codebook() || layout.triple_steps > 0) {
      e.name(index, "index");
      e.name(temp, "temp");
    }
    if (layout.triple_steps > 0) begin_triples();
    e.vbroadcastss(zero, e.constant(i32(layout.zero)));
    if (layout.codebook != nullptr) e.load_table(xmm_of(table), whole_rows(layout));
    e.repeat(groups, key.dim / layout.group, [&] {
      for (int s = 0; s < layout.subgroups(); ++s) {
        e.note("{} codes: value = scale * (code - {}){}", layout.subgroup, layout.zero,
               layout.sums_inputs() ? " + min" : "");
        load_factor(scale, layout.scale_at, layout.subscales, s);
        if (layout.sums_inputs()) load_factor(min, layout.min_at, layout.submins, s);
        layout.bits == 8 ? decode_bytes() : decode_subgroup(s);
      }
      e.add(tile, layout.group_bytes);
    });
  }

  // to = the row's float at `float_at`, times its small number of the subgroup, if there is one
  void load_factor(const Xbyak::Xmm& to, int float_at, const SmallNumbers& numbers, int s) {
    const Xbyak::Reg32 small = e.scratch().cvt32();
    if (layout.floats == FormatKind::f32) {
      e.vbroadcastss(to, e.ptr[tile + lane * 4 + float_at]);
    } else {
      e.vpbroadcastw(to, e.ptr[tile + lane * 2 + float_at]);
      layout.floats == FormatKind::f16 ? e.vcvtph2ps(to, to) : e.vpslld(to, to, 16);
    }
    if (!numbers) return;
    const Xbyak::Address from = e.byte[tile + lane * numbers.row_bytes() + numbers.at_subgroup(s)];
    numbers.is_signed ? e.movsx(small, from) : e.movzx(small, from);
    if (numbers.shift > 0) {
      e.shr(small, numbers.shift);
    } else if (numbers.bits < 8) {
      e.and_(small, (1 << numbers.bits) - 1);
    }
    e.vmovd(value, small);
    e.vpbroadcastd(value, value);
    e.vcvtdq2ps(value, value);
    e.vmulps(to, to, value);
  }

  // Groups of int8 may be of any length.
  void decode_bytes() {
    e.lea(at, e.ptr[tile + lane * 4]);
    e.repeat(count, layout.group / 4, [&] {
      e.vpmovzxbd(value, e.ptr[at]);
      finish();
      e.vmovups(e.ptr[out], value);
      e.add(at, 4 * kLanes);
      e.add(out, 16);
    });
    const int rest = layout.group % 4;
    if (rest == 0) return;
    e.vpmovzxbd(value, e.ptr[at]);
    finish();
    for (int i = 0; i < rest; ++i) e.vextractps(e.ptr[out + i * 4], value, static_cast<std::uint8_t>(i));
    e.add(out, rest * 4);
  }

  void decode_subgroup(int s) {
    const int steps = layout.subgroup_steps();
    if (layout.lift > 0) load_lift(s);
    for (int step = 0; step < steps; ++step) {
      const int of_group = s * steps + step;
      of_group < layout.triple_steps ? load_digits(of_group) : load_codes(of_group);
      e.vpmovzxbd(value, value);
      finish();
      e.vmovups(e.ptr[out + step * 16], value);
    }
    e.add(out, steps * 16);
  }

  // value = four codes, a byte each
  void load_codes(int step) {
    const Xbyak::Reg32 codes = count.cvt32(), bits = e.scratch().cvt32();
    for (const Plane& plane : layout.planes()) {
      const Xbyak::Reg32& to = plane.position == 0 ? codes : bits;
      const int in_plane = step - layout.triple_steps;
      e.mov(to, e.ptr[tile + lane * 4 + (plane.at + in_plane / plane.steps() * kLanes * 4)]);
      const int shift = in_plane % plane.steps() * plane.bits - plane.position - layout.shift;
      if (shift > 0) e.shr(to, shift);
      if (shift < 0) e.shl(to, -shift);
      constexpr std::uint32_t kEachByte = 0x01010101;
      e.and_(to, (((1U << plane.bits) - 1) << (plane.position + layout.shift)) * kEachByte);
      if (plane.position > 0) e.or_(codes, bits);
    }
    e.vmovd(value, codes);
    if (layout.codebook != nullptr) e.look_up(xmm_of(value), xmm_of(table), xmm_of(index), xmm_of(temp));
    if (layout.lift > 0) e.vpaddb(value, value, lift);
  }

  // at = where a vector of eight rows has this one, from the vector's begin; half = how far its bits are from the lowest.
  void begin_triples() {
    e.name(half, "half_shift");
    e.set_rows(kTripleTable);
    const Xbyak::Reg32 shift = e.scratch().cvt32();
    e.mov(shift, lane.cvt32());
    e.shr(shift, 3);
    e.shl(shift, 2);
    e.vmovd(half, shift);
    e.mov(at, lane);
    e.and_(at, Triple::kHalf - 1);
    e.shl(at, 2);
  }

  // value = the codes that a triple has of four columns, a byte each
  void load_digits(int step) {
    const Triple triple(step / Triple::kSteps);
    const int digit = step % Triple::kSteps;
    if (digit == 0) {
      const Xbyak::Reg32 lower = e.scratch().cvt32();
      e.mov(lower, e.ptr[tile + lane * 4 + triple.lower_at]);
      if (triple.lower_shift > 0) e.shr(lower, triple.lower_shift);
      e.and_(lower, 0x0F0F0F0F);
      e.vmovd(value, lower);
      look_up_row(index, 1, value);
      e.vmovd(temp, e.ptr[tile + at + triple.fifths_at]);
      e.vpsrld(temp, temp, half);
      e.vpslld(temp, temp, static_cast<std::uint8_t>(3 - triple.fifth_bit));
      e.and_bits(xmm_of(temp), xmm_of(temp), Const{0x08080808});
      e.vpaddb(index, index, temp);
      return look_up_row(value, 0, value);
    }
    look_up_row(value, 1 + digit, index);
  }
  void look_up_row(const Xbyak::Xmm& to, int row, const Xbyak::Xmm& bytes) {
    e.broadcast_row(xmm_of(table), row);
    e.vpshufb(to, table, bytes);
  }

  // lift = what the row's codes of the subgroup have added, a byte each
  void load_lift(int s) {
    const Xbyak::Reg32 bits = e.scratch().cvt32();
    constexpr int kEachByte = 0x01010101;
    e.movzx(bits, e.word[tile + lane * static_cast<int>(sizeof Group::lifted) + layout.lifted_at]);
    e.shr(bits, s);
    e.and_(bits, 1);
    e.imul(bits, bits, layout.lift * kEachByte);
    e.vmovd(lift, bits);
  }

  static V16 xmm_of(const Xbyak::Xmm& reg) { return {{reg, Vec()}, 1}; }

  // value = the weights of four codes, as i32: scale * (code - zero), with minima fma(scale, code - zero,
  // min); then times the key's scale
  void finish() {
    e.vpsubd(value, value, zero);
    e.vcvtdq2ps(value, value);
    if (layout.sums_inputs()) {
      e.vfmadd213ps(value, scale, min);
    } else {
      e.vmulps(value, value, scale);
    }
    if (key.scale != 1) e.vmulps(value, value, e.constant(f32(key.scale)));
  }

  Emitter& e;
  const EmbedKey& key;
  const CodesLayout layout{key.format};
  const Reg64 tile = e.gpr("tile"), lane = e.gpr("lane"), at = e.gpr("at"), out = e.gpr("out");
  const Reg64 groups = e.gpr("groups"), count = e.gpr("count");
  const Xbyak::Xmm scale{0}, min{1}, value{2}, zero{3}, table{4}, lift{5}, index{6}, temp{7}, half{8};
};

}  // namespace

void generate(Emitter& e, const EmbedKey& key) {
  EmbedGenerator(e, key).generate();
}

}  // namespace llamajit::jit
