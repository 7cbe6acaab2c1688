#include "jit/kernels/product_layout.h"

#include <algorithm>
#include <limits>

#include "jit/kernels/matmul.h"
#include "jit/kernels/unpacker.h"

namespace llamajit::jit {
namespace {

// A code less its zero point times a subscale is at most so far from 0.
int largest_product(const CodesLayout& codes) {
  return codes.farthest_code() * codes.largest_subscale;
}

constexpr std::uint32_t in_each_byte(int value) {
  return static_cast<std::uint32_t>(value) * 0x01010101;
}
constexpr std::uint32_t in_each_word(int value) {
  return static_cast<std::uint32_t>(value) * 0x00010001;
}

}  // namespace

ProductLayout ProductLayout::of_tiles(const CodesLayout& codes) {
  constexpr int kLeastK = 32;  // below it tiles would be mostly empty
  ProductLayout layout;
  if (codes.group == 0 || codes.group % kLeastK != 0) return layout;
  layout.k = codes.group % kMostK == 0 ? kMostK : kLeastK;
  if (codes.subscales && largest_product(codes) > std::numeric_limits<std::int8_t>::max()) layout.planes = 2;
  layout.place_numbers(codes);
  return layout;
}

ProductLayout ProductLayout::of_vectors(const CodesLayout& codes) {
  ProductLayout layout;
  layout.bytes = codes.byte_products();
  if (layout.bytes) layout.place_numbers(codes);
  return layout;
}

void ProductLayout::place_numbers(const CodesLayout& codes) {
  group = codes.group;
  steps = codes.steps();
  int at = planes * plane_bytes();
  const auto take = [&](int rows) {
    const int here = at;
    at += rows * kRow;
    return here;
  };
  scale_at = take(1);
  if (codes.sums_inputs()) min_at = take(1);
  if (codes.submins) submins_at = take(codes.subgroups() / 2);
  group_bytes = at;
}

bool uses_tiles(Isa isa, Format format) {
  return isa.has_tiles() && has_codes(format) && ProductLayout::of_tiles(CodesLayout(format)).exists();
}

bool multiplies_byte_products(Isa isa, Format format) {
  return !uses_tiles(isa, format) && isa.wide() && isa.has_dot() && has_codes(format) &&
         ProductLayout::of_vectors(CodesLayout(format)).exists();
}

namespace {

class ProductWriter {
 public:
  ProductWriter(Emitter& emitter, const CodesLayout& codes_layout, const ProductLayout& product_layout,
                const PlainRegisters& registers)
      : e(emitter), codes(codes_layout), layout(product_layout), r(registers) {
    if (!codes.subscales) return;
    odd = e.v16("odd columns");
    factors = e.v16("subscales twice");
    words = e.v16("subscales");
    low_words = e.uniform16("mask of words");
    low_bytes = e.uniform16("mask of lower bytes");
    high_bytes = e.uniform16("mask of upper bytes");
  }

  void begin() const {
    unpacker.begin();
    if (!codes.subscales) return;
    e.broadcast(low_words, Const{0x0000FFFF});
    e.broadcast(low_bytes, Const{0x00FF00FF});
    e.broadcast(high_bytes, Const{0xFF00FF00});
  }

  // Moves `to` and `from` past the group.
  void write_group() const {
    const int subgroup_steps = codes.subgroup_steps();
    for (int step = 0; step < layout.steps; ++step) {
      if (step % subgroup_steps == 0) begin_subgroup(step / subgroup_steps);
      unpacker.emit_step(row, r.from, step, 0, temp);
      codes.subscales ? write_products(step) : write_codes(step);
    }
    emit_scale(e, codes, row, r.from, 0);
    e.store(r.to + layout.scale_at, row);
    if (codes.sums_inputs()) {
      emit_min(e, codes, row, r.from, 0);
      e.store(r.to + layout.min_at, row);
    }
    for (int s = 0; codes.submins && s < codes.subgroups(); s += 2) {
      emit_submins(e, codes, row, r.from, s, 0);
      e.store(r.to + (layout.submins_at + s / 2 * ProductLayout::kRow), row);
    }
    e.add(r.from, codes.group_bytes);
    e.add(r.to, layout.group_bytes);
  }

 private:
  void write_codes(int step) const {
    if (codes.zero > 0) e.vpsubb(vec(row), vec(row), e.constant({in_each_byte(codes.zero)}));
    e.store(r.to + step * ProductLayout::kRow, row);
  }

  // factors = the subgroup's, in both words of each lane.
  void begin_subgroup(int s) const {
    unpacker.begin_subgroup(r.from, s, 0);
    if (!codes.subscales) return;
    emit_subscale(e, codes, words, r.from, s, 0);
    e.shift_left(factors, words, 16);
    e.or_masked(factors, words, low_words);
  }

  // Codes are multiplied in words, the even columns' and the odd ones' apart.
  void write_products(int step) const {
    e.vpsrlw(vec(odd), vec(row), 8);
    e.and_bits(row, row, low_bytes);
    for (const V16& columns : {row, odd}) {
      if (codes.zero > 0) e.vpsubw(vec(columns), vec(columns), e.constant({in_each_word(codes.zero)}));
      e.vpmullw(vec(columns), vec(columns), vec(factors));
      if (layout.bytes) move_into_byte(columns);
    }
    const int at = step * ProductLayout::kRow;
    e.vpsllw(vec(words), vec(odd), 8);
    e.or_masked(words, row, low_bytes);
    e.store(r.to + at, words);
    if (layout.planes == 1) return;
    e.vpsrlw(vec(words), vec(row), 8);
    e.or_masked(words, odd, high_bytes);
    e.store(r.to + (layout.plane_bytes() + at), words);
  }

  void move_into_byte(const V16& products) const {
    if (layout.bytes->offset > 0) {
      e.vpaddw(vec(products), vec(products), e.constant({in_each_word(layout.bytes->offset)}));
    }
    if (layout.bytes->shift > 0) e.vpsrlw(vec(products), vec(products), layout.bytes->shift);
  }

  static const Vec& vec(const V16& value) { return value.part[0]; }  // these tiers are wide

  Emitter& e;
  const CodesLayout& codes;
  const ProductLayout& layout;
  const PlainRegisters& r;
  const Unpacker unpacker{e, codes, true, 1};
  const V16 row = e.v16("row"), temp = Unpacker::needs_temp(codes) ? e.v16("temp") : V16();
  V16 odd, factors, words;
  V16 low_words, low_bytes, high_bytes;  // masks
};

}  // namespace

void emit_products(Emitter& e, Format format, const ProductLayout& layout, int n_tiles, int cols,
                   const PlainRegisters& r) {
  Emitter::VectorScope scope(e);
  const CodesLayout codes(format);
  const ProductWriter writer(e, codes, layout, r);
  e.note("{} tiles to scratch, {}", n_tiles,
         codes.subscales ? "codes times their subscales" : "a signed byte for each code");
  writer.begin();
  over_packed_groups(e, format, n_tiles, cols, r, [&] { writer.write_group(); });
}

}  // namespace llamajit::jit
