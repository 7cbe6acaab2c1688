#include "jit/kernels/plain_layout.h"

#include "jit/emit/dot.h"
#include "jit/kernels/unpacker.h"

namespace llamajit::jit {

PlainLayout::PlainLayout(const CodesLayout& codes) {
  if (codes.group == 0) return;
  is_packed = codes.bits == 8;
  group = codes.group;
  n_subgroups = codes.subgroups();
  steps = codes.subgroup_steps();
  scale_at = steps * kRow;
  min_at = scale_at + kRow;
  if (is_packed) {
    subgroup_bytes = codes.group_bytes;
  } else if (!codes.subscales) {
    subgroup_bytes = min_at + (codes.sums_inputs() ? kRow : 0);
  } else {
    subgroup_bytes = min_at;
    group_scale_at = codes.submins ? n_subgroups / 2 * kRow : 0;
    group_min_at = group_scale_at + kRow;
    tail_bytes = group_min_at + (codes.submins ? kRow : 0);
  }
}

std::int64_t PlainLayout::scratch_bytes(std::int64_t cols) const {
  return is_packed || group == 0 ? 0 : cols / group * group_bytes();
}

SubscaleForm subscale_form(Isa isa, const CodesLayout& codes) {
  const bool is_avx2 = isa.tier == Tier::avx2;
  if (is_avx2 && codes.zero == 0) return SubscaleForm::word_pairs;
  if (codes.sums_fit_words()) return SubscaleForm::words;
  return !is_avx2 && codes.float_parts() > 0 ? SubscaleForm::floats : SubscaleForm::integers;
}

namespace {

class PlainWriter {
 public:
  PlainWriter(Emitter& emitter, const CodesLayout& codes_layout, const PlainRegisters& registers)
      : e(emitter), codes(codes_layout), r(registers) {}

  void begin() const { unpacker.begin(); }

  // Moves `to` and `from` past the group.
  void write_group() const {
    for (int s = 0; s < plain.n_subgroups; ++s) {
      unpacker.begin_subgroup(r.from, s, 0);
      for (int step = 0; step < plain.steps; ++step) {
        unpacker.emit_step(row, r.from, s * plain.steps + step, 0, temp);
        e.store(r.to + step * PlainLayout::kRow, row);
      }
      if (codes.subscales) {
        write_subscales(s);
      } else {
        write_floats(plain.scale_at, plain.min_at);
      }
      e.add(r.to, plain.subgroup_bytes);
    }
    if (codes.subscales) write_tail();
    e.add(r.from, codes.group_bytes);
  }

 private:
  void write_subscales(int s) const {
    emit_subscale(e, codes, row, r.from, s, 0);
    const SubscaleForm form = subscale_form(e.isa(), codes);
    if (form == SubscaleForm::words || form == SubscaleForm::word_pairs) e.and_bits(row, row, i32(0xffff));
    if (form == SubscaleForm::word_pairs) e.mul_i32(row, row, kOnePairs);
    if (form == SubscaleForm::floats) e.to_float(row, row);
    e.store(r.to + plain.scale_at, row);
  }

  // What stands behind a group's subgroups.
  void write_tail() const {
    for (int s = 0; codes.submins && s < plain.n_subgroups; s += 2) {
      emit_submins(e, codes, row, r.from, s, 0);
      e.store(r.to + s / 2 * PlainLayout::kRow, row);
    }
    write_floats(plain.group_scale_at, plain.group_min_at);
    e.add(r.to, plain.tail_bytes);
  }

  void write_floats(int scale_at, int min_at) const {
    emit_scale(e, codes, row, r.from, 0);
    e.store(r.to + scale_at, row);
    if (!codes.sums_inputs()) return;
    emit_min(e, codes, row, r.from, 0);
    e.store(r.to + min_at, row);
  }

  Emitter& e;
  const CodesLayout& codes;
  const PlainRegisters& r;
  const PlainLayout plain{codes};
  const Unpacker unpacker{e, codes, true, 1};
  const V16 row = e.v16("row"), temp = Unpacker::needs_temp(codes) ? e.v16("temp") : V16();
};

}  // namespace

void emit_plain_tiles(Emitter& e, Format format, int n_tiles, int cols, const PlainRegisters& r) {
  Emitter::VectorScope scope(e);
  const CodesLayout codes(format);
  const PlainWriter writer(e, codes, r);
  e.note("{} tiles to scratch, a byte for each code", n_tiles);
  writer.begin();
  over_packed_groups(e, format, n_tiles, cols, r, [&] { writer.write_group(); });
}

}  // namespace llamajit::jit
