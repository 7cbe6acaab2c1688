#include <algorithm>

#include "jit/emit/emitter.h"

namespace llamajit::jit {

using Xbyak::Xmm;
using Xbyak::Ymm;
using Xbyak::Zmm;

// --- lane arithmetic

void Emitter::add(const V16& to, const V16& a, const Source& b) {
  each(to, b, [&](std::size_t p, const Xbyak::Operand& o) { vaddps(to.part[p], a.part[p], o); });
}

void Emitter::sub(const V16& to, const V16& a, const Source& b) {
  each(to, b, [&](std::size_t p, const Xbyak::Operand& o) { vsubps(to.part[p], a.part[p], o); });
}

void Emitter::mul(const V16& to, const V16& a, const Source& b) {
  each(to, b, [&](std::size_t p, const Xbyak::Operand& o) { vmulps(to.part[p], a.part[p], o); });
}

void Emitter::div(const V16& to, const V16& a, const Source& b) {
  each(to, b, [&](std::size_t p, const Xbyak::Operand& o) { vdivps(to.part[p], a.part[p], o); });
}

void Emitter::max(const V16& to, const V16& a, const Source& b) {
  each(to, b, [&](std::size_t p, const Xbyak::Operand& o) { vmaxps(to.part[p], a.part[p], o); });
}

void Emitter::min(const V16& to, const V16& a, const Source& b) {
  each(to, b, [&](std::size_t p, const Xbyak::Operand& o) { vminps(to.part[p], a.part[p], o); });
}

void Emitter::fma(const V16& acc, const V16& a, const Source& b) {
  each(acc, b, [&](std::size_t p, const Xbyak::Operand& o) { vfmadd231ps(acc.part[p], a.part[p], o); });
}

void Emitter::fma_broadcast(const V16& acc, const V16& a, const RegExp& b, const V16& temp) {
  if (isa_.wide()) {
    vfmadd231ps(acc.part[0], a.part[0], ptr_b[b]);
    return;
  }
  broadcast(temp, b);
  fma(acc, a, temp);
}

void Emitter::muladd(const V16& x, const V16& a, const Source& b) {
  each(x, b, [&](std::size_t p, const Xbyak::Operand& o) { vfmadd213ps(x.part[p], a.part[p], o); });
}

void Emitter::abs(const V16& to, const V16& a) {
  each(to, Const{0x7FFFFFFF},
       [&](std::size_t p, const Xbyak::Operand& o) { vandps(to.part[p], a.part[p], o); });
}

void Emitter::fill_tail(const V16& to, int n, Const fill) {
  if (isa_.wide()) {
    name_lanes(k1, n, kLanes);
    mov(eax, 0xFFFF & ~((1 << n) - 1));
    kmovw(k1, eax);
    vmovaps(to.part[0] | k1, constant(fill));
    return;
  }
  VectorScope scope(*this);
  const Vec mask = next_vector("mask");
  const Vec filler = next_vector("fill");
  vmovaps(filler, constant(fill));
  for (int p = 0; p < 2; ++p) {
    const Vec& v = to.part[static_cast<std::size_t>(p)];
    vmovups(mask, tail_mask(std::clamp(n - kMaskLanes * p, 0, kMaskLanes)));
    vblendvps(v, filler, v, mask);
  }
}

void Emitter::fill_tail(const V16& to, const Reg64& n, Const fill) {
  fill_lanes(to, n, fill, Side::tail);
}

void Emitter::fill_head(const V16& to, const Reg64& n, Const fill) {
  fill_lanes(to, n, fill, Side::head);
}

void Emitter::fill_lanes(const V16& to, const Reg64& n, Const fill, Side side) {
  uses_lane_numbers_ = true;
  VectorScope scope(*this);
  const Vec limit = next_vector("n");
  if (isa_.wide()) {
    name(k1, side == Side::tail ? "lanes_from_n" : "lanes_to_n");
    vpbroadcastd(limit, n.cvt32());
    constexpr std::uint8_t kLessOrEqual = 2, kGreater = 6;
    vpcmpd(k1, limit, ptr[rip + lane_numbers_], side == Side::tail ? kLessOrEqual : kGreater);
    vmovaps(to.part[0] | k1, constant(fill));
    return;
  }
  const Vec below = next_vector("below_n");
  vmovd(xmm_of(limit), n.cvt32());
  vpbroadcastd(limit, xmm_of(limit));
  for (int p = 0; p < 2; ++p) {
    const Vec& v = to.part[static_cast<std::size_t>(p)];
    vpcmpgtd(below, limit, ptr[rip + lane_numbers_ + kPartBytes * p]);
    if (side == Side::tail) {
      vandps(v, v, below);
      vandnps(below, below, constant(fill));
    } else {
      vandnps(v, below, v);
      vandps(below, below, constant(fill));
    }
    vorps(v, v, below);
  }
}

void Emitter::flip_signs(const V16& to, const RegExp& bits) {
  constexpr Const kSign{0x80000000};
  if (isa_.wide()) {
    name(k1, "signs");
    kmovw(k1, ptr[bits]);
    vpxord(to.part[0] | k1, to.part[0], constant(kSign));
    return;
  }
  // A lane's own bit is brought to the bottom and then up to where a float has its sign.
  uses_lane_numbers_ = true;
  VectorScope scope(*this);
  const Vec bits_everywhere = next_vector("bits");
  const Vec sign = next_vector("sign");
  vpbroadcastw(bits_everywhere, ptr[bits]);
  for (int p = 0; p < 2; ++p) {
    const Vec& v = to.part[static_cast<std::size_t>(p)];
    vpsrlvd(sign, bits_everywhere, ptr[rip + lane_numbers_ + kPartBytes * p]);
    vpslld(sign, sign, 31);
    vxorps(v, v, sign);
  }
}

void Emitter::lane_numbers(const V16& to) {
  uses_lane_numbers_ = true;
  for (std::size_t p = 0; p < (isa_.wide() ? 1 : 2); ++p) {
    vcvtdq2ps(to.part[p], ptr[rip + lane_numbers_ + kPartBytes * static_cast<int>(p)]);
  }
}

void Emitter::equal_mask(const Reg64& to, const Reg64& temp, const V16& a, const V16& b) {
  if (isa_.wide()) {
    name(k1, "equal");
    vcmpeqps(k1, a.part[0], b.part[0]);
    kmovw(to.cvt32(), k1);
    return;
  }
  for (std::size_t p = 0; p < 2; ++p) vcmpeqps(a.part[p], a.part[p], b.part[p]);
  vmovmskps(temp, a.part[1]);
  vmovmskps(to, a.part[0]);
  shl(temp.cvt32(), kMaskLanes);
  or_(to.cvt32(), temp.cvt32());
}

void Emitter::swap_pairs(const V16& to, const V16& a) {
  each(to, a, [&](std::size_t p, const Xbyak::Operand& o) { vpermilps(to.part[p], o, 0b10'11'00'01); });
}

void Emitter::to_float(const V16& to, const Source& a) {
  each(to, a, [&](std::size_t p, const Xbyak::Operand& o) { vcvtdq2ps(to.part[p], o); });
}

void Emitter::to_int(const V16& to, const V16& a) {
  each(to, a, [&](std::size_t p, const Xbyak::Operand& o) { vcvtps2dq(to.part[p], o); });
}

void Emitter::shift_left(const V16& to, const V16& a, int bits) {
  each(to, a, [&](std::size_t p, const Xbyak::Operand& o) {
    vpslld(to.part[p], o, static_cast<std::uint8_t>(bits));
  });
}

void Emitter::shift_right(const V16& to, const V16& a, int bits) {
  each(to, a, [&](std::size_t p, const Xbyak::Operand& o) {
    vpsrld(to.part[p], o, static_cast<std::uint8_t>(bits));
  });
}

void Emitter::add_i32(const V16& to, const V16& a, const Source& b) {
  each(to, b, [&](std::size_t p, const Xbyak::Operand& o) { vpaddd(to.part[p], a.part[p], o); });
}

void Emitter::mul_i32(const V16& to, const V16& a, const Source& b) {
  each(to, b, [&](std::size_t p, const Xbyak::Operand& o) { vpmulld(to.part[p], a.part[p], o); });
}

// --- sixteen lanes to one

template <class Op>
Vec Emitter::fold(const V16& from, const V16& temp, Op op) {
  const Ymm low = ymm_of(from.part[0]);
  const Ymm high = isa_.wide() ? ymm_of(temp.part[0]) : ymm_of(from.part[1]);
  if (isa_.wide()) vextractf32x8(high, Zmm(from.part[0].getIdx()), 1);
  op(low, high);
  const Xmm sum = xmm_of(low);
  const Xmm other = xmm_of(temp.part[0]);
  if (isa_.wide()) {
    vextractf32x4(other, low, 1);
  } else {
    vextractf128(other, low, 1);
  }
  op(sum, other);
  vpermilps(other, sum, 0b00'00'11'10);  // lanes 2, 3
  op(sum, other);
  vpermilps(other, sum, 0b00'00'00'01);  // lane 1
  op(sum, other);
  return sum;
}

Vec Emitter::fold_add(const V16& from, const V16& temp) {
  note("its sixteen lanes' sum, in halves");
  return fold(from, temp, [this](const Xmm& a, const Xmm& b) { vaddps(a, a, b); });
}

Vec Emitter::fold_add_i32(const V16& from, const V16& temp) {
  note("its sixteen lanes' sum, in halves");
  return fold(from, temp, [this](const Xmm& a, const Xmm& b) { vpaddd(a, a, b); });
}

Vec Emitter::fold_max(const V16& from, const V16& temp) {
  note("its sixteen lanes' maximum, in halves");
  return fold(from, temp, [this](const Xmm& a, const Xmm& b) { vmaxps(a, a, b); });
}

}  // namespace llamajit::jit
