// Integer codes: taking them apart, and their dot products.
#include <algorithm>
#include <string>

#include "jit/emit/emitter.h"

namespace llamajit::jit {

// --- bits and bytes
// ----------------------------------------------------------------------------------------------------

void Emitter::and_bits(const V16& to, const V16& a, const Source& b) {
  each(to, b, [&](std::size_t p, const Xbyak::Operand& o) {
    isa_.wide() ? vpandd(to.part[p], a.part[p], o) : vpand(to.part[p], a.part[p], o);
  });
}

void Emitter::or_masked(const V16& to, const V16& bits, const V16& mask) {
  for (std::size_t p = 0; p < static_cast<std::size_t>(to.parts); ++p) {
    if (isa_.wide()) {
      constexpr std::uint8_t kOrAnd = 0xF8;  // a | (b & c)
      vpternlogd(to.part[p], bits.part[p], mask.part[p], kOrAnd);
    } else {
      vpand(bits.part[p], bits.part[p], mask.part[p]);
      vpor(to.part[p], to.part[p], bits.part[p]);
    }
  }
}

void Emitter::load_shifted(const V16& to, const RegExp& from, int bits) {
  if (bits == 0) return load(to, from);
  const auto count = static_cast<std::uint8_t>(bits > 0 ? bits : -bits);
  each(to, from, [&](std::size_t p, const Xbyak::Operand& memory) {
    const Vec& v = to.part[p];
    if (isa_.wide()) {
      bits > 0 ? vpsrld(v, memory, count) : vpslld(v, memory, count);
    } else {
      vmovups(v, memory);
      bits > 0 ? vpsrld(v, v, count) : vpslld(v, v, count);
    }
  });
}

void Emitter::load_table(const V16& to, std::span<const std::uint8_t, 16> bytes) {
  std::copy(bytes.begin(), bytes.end(), table_.emplace().begin());
  if (isa_.wide()) {
    vbroadcasti32x4(Xbyak::Zmm(to.part[0].getIdx()), ptr[rip + table_label_]);
  } else {
    vbroadcasti128(ymm_of(to.part[0]), ptr[rip + table_label_]);
  }
}

void Emitter::look_up(const V16& to, const V16& table) {
  for (std::size_t p = 0; p < static_cast<std::size_t>(to.parts); ++p) {
    vpshufb(to.part[p], table.part[p], to.part[p]);
  }
}

void Emitter::load_s8(const V16& to, const RegExp& from) {
  for (int p = 0; p < to.parts; ++p) {
    vpmovsxbd(to.part[static_cast<std::size_t>(p)], ptr[from + kPartBytes / 4 * p]);
  }
}

void Emitter::load_u8(const V16& to, const RegExp& from) {
  for (int p = 0; p < to.parts; ++p) {
    vpmovzxbd(to.part[static_cast<std::size_t>(p)], ptr[from + kPartBytes / 4 * p]);
  }
}

void Emitter::load_u8_pairs(const V16& to, const RegExp& from, int bits) {
  for (int p = 0; p < to.parts; ++p) {
    const Vec& v = to.part[static_cast<std::size_t>(p)];
    vpmovzxbw(v, ptr[from + kPartBytes / 2 * p]);
    if (bits > 0) vpsrlw(v, v, static_cast<std::uint8_t>(bits));
  }
}

// --- the dot product of 4 bytes a lane
// ---------------------------------------------------------------------------------

namespace {

// A member's role, where the whole has one.
std::string part_of(std::string_view role, std::string_view part) {
  return role.empty() ? "" : std::string(role).append(part);
}

}  // namespace

Emitter::Weights4 Emitter::weights4(Sums16 sums, bool whole, int index, std::string_view role) {
  const auto lanes = [&](std::string_view part) {
    return whole ? v16(part_of(role, part)) : part16(part_of(role, part));
  };
  Weights4 w{lanes(""), V16(), Xbyak::Opmask(kLastMask - index), sums != Sums16::none || isa_.has_dot(),
             sums == Sums16::subgroup && !isa_.has_dot()};
  if (!isa_.has_dot() && !isa_.wide())
    w.run = sums == Sums16::two_steps ? 2 : sums == Sums16::four_steps ? 4 : 0;
  if (w.unsigned_codes) return w;
  if (isa_.wide()) {
    name(w.negative, part_of(role, ".negative"));
  } else {
    w.signs = lanes(".signed");
  }
  return w;
}

Emitter::Inputs4 Emitter::inputs4(bool small, std::string_view role) {
  Inputs4 x{uniform16(role), V16()};
  if (!small && !isa_.has_dot() && isa_.wide()) x.negated = uniform16(part_of(role, ".negated"));
  return x;
}

void Emitter::load_weights4(const Weights4& to, const RegExp& from) {
  load(to.codes, from);
  make_ready(to);
}

void Emitter::make_ready(const Weights4& w) {
  if (w.unsigned_codes) return;
  const Const zero_point{0x80808080};
  for (std::size_t p = 0; p < static_cast<std::size_t>(w.codes.parts); ++p) {
    const Vec& codes = w.codes.part[p];
    if (isa_.wide()) {
      vpxord(codes, codes, constant(zero_point));
      vpmovb2m(w.negative, codes);
      vpabsb(codes, codes);
    } else {
      vpxor(w.signs.part[p], codes, constant(zero_point));
      vpabsb(codes, w.signs.part[p]);
    }
  }
}

void Emitter::broadcast_inputs4(const Inputs4& to, const RegExp& from) {
  const Vec& codes = to.codes.part[0];
  vpbroadcastd(codes, ptr[from]);
  if (to.negated.parts == 0) return;
  const Vec& negated = to.negated.part[0];
  vpxord(negated, negated, negated);
  vpsubb(negated, negated, codes);
}

void Emitter::start_dot(const V16& acc, const Weights4& w, const std::optional<RegExp>& offset) {
  offset&& w.unsigned_codes && !w.narrow ? broadcast(acc, *offset) : zero(acc);
}

void Emitter::dot(const V16& acc, const Weights4& w, const Inputs4& x, const V16& temp, const Run16& run) {
  if (w.run > 0) return dot_in_run(acc, w, x, temp, run);
  for (std::size_t p = 0; p < static_cast<std::size_t>(acc.parts); ++p) {
    const Vec& codes = w.codes.part[p];
    const Vec& sum = acc.part[p];
    if (isa_.has_dot()) {
      vpdpbusd(sum, codes, x.codes.part[0]);
      continue;
    }
    const Vec& products = temp.part[p];
    if (w.unsigned_codes) {
      vpmaddubsw(products, codes, x.codes.part[0]);
      if (w.narrow) {
        vpaddw(sum, sum, products);
        continue;
      }
    } else {
      if (isa_.wide()) {
        vpblendmb(products | w.negative, x.codes.part[0], x.negated.part[0]);
      } else {
        vpsignb(products, x.codes.part[0], w.signs.part[p]);
      }
      vpmaddubsw(products, codes, products);
    }
    vpmaddwd(products, products, constant({0x00010001}));
    vpaddd(sum, sum, products);
  }
}

void Emitter::dot_in_run(const V16& acc, const Weights4& w, const Inputs4& x, const V16& temp,
                         const Run16& run) {
  const bool first = run.step % w.run == 0;
  const bool last = run.step % w.run == w.run - 1 || run.step == run.steps - 1;
  for (std::size_t p = 0; p < static_cast<std::size_t>(acc.parts); ++p) {
    const Vec& sum = run.sum.part[p];
    vpmaddubsw(first ? sum : temp.part[p], w.codes.part[p], x.codes.part[0]);
    if (!first) vpaddw(sum, sum, temp.part[p]);
    if (!last) continue;
    vpmaddwd(sum, sum, constant({0x00010001}));
    vpaddd(acc.part[p], acc.part[p], sum);
  }
}

void Emitter::add_dots(const V16& to, const V16& a, const V16& b, const Weights4& w) {
  if (!w.narrow) return add_i32(to, a, b);
  for (std::size_t p = 0; p < static_cast<std::size_t>(to.parts); ++p) {
    vpaddw(to.part[p], a.part[p], b.part[p]);
  }
}

void Emitter::finish_dot(const V16& acc, const Weights4& w, const std::optional<RegExp>& offset,
                         const V16& temp) {
  if (!w.narrow) return;
  for (std::size_t p = 0; p < static_cast<std::size_t>(acc.parts); ++p) {
    vpmaddwd(acc.part[p], acc.part[p], constant({0x00010001}));
  }
  if (!offset) return;
  broadcast(temp, *offset);
  add_i32(acc, acc, temp);
}

void Emitter::dot_i16(const V16& acc, const V16& w, const V16& x, const V16& temp) {
  for (std::size_t p = 0; p < static_cast<std::size_t>(acc.parts); ++p) {
    if (isa_.has_dot()) {
      vpdpwssd(acc.part[p], w.part[p], x.part[0]);
    } else {
      vpmaddwd(temp.part[p], w.part[p], x.part[0]);
      vpaddd(acc.part[p], acc.part[p], temp.part[p]);
    }
  }
}

}  // namespace llamajit::jit
