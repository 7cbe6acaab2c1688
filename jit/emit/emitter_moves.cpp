#include <algorithm>
#include <cassert>

#include "jit/base/float_bits.h"
#include "jit/emit/emitter.h"

namespace llamajit::jit {

using Xbyak::Xmm;

// --- moves

void Emitter::load(const V16& to, const RegExp& from) {
  each(to, from, [&](std::size_t p, const Xbyak::Operand& m) { vmovups(to.part[p], m); });
}

void Emitter::store(const RegExp& to, const V16& from) {
  for (int p = 0; p < from.parts; ++p)
    vmovups(ptr[to + kPartBytes * p], from.part[static_cast<std::size_t>(p)]);
}

void Emitter::copy(const V16& to, const V16& from) {
  each(to, from, [&](std::size_t p, const Xbyak::Operand& v) { vmovaps(to.part[p], v); });
}

void Emitter::zero(const V16& to) {
  // Writing the xmm zeroes the whole register, in two bytes less than the zmm form.
  each(to, to, [&](std::size_t p, const Xbyak::Operand&) {
    const Vec& v = to.part[p];
    if (v.getIdx() < 16) {
      vxorps(xmm_of(v), xmm_of(v), xmm_of(v));
    } else {
      vpxord(v, v, v);
    }
  });
}

void Emitter::broadcast(const V16& to, const RegExp& from) {
  each(to, to, [&](std::size_t p, const Xbyak::Operand&) { vbroadcastss(to.part[p], ptr[from]); });
}

void Emitter::broadcast(const V16& to, Const value) {
  each(to, value, [&](std::size_t p, const Xbyak::Operand& m) { vmovaps(to.part[p], m); });
}

void Emitter::broadcast_lane0(const V16& to, const Vec& from) {
  each(to, to, [&](std::size_t p, const Xbyak::Operand&) { vbroadcastss(to.part[p], xmm_of(from)); });
}

void Emitter::prepare_tail(int n) {
  if (!isa_.wide() || n == 16 || prepared_masks_.contains(n)) return;
  const int index = 2 + static_cast<int>(prepared_masks_.size());
  assert(index < 8);
  name_lanes(Xbyak::Opmask(index), 0, n);
  mov(eax, (1 << n) - 1);
  kmovw(Xbyak::Opmask(index), eax);
  prepared_masks_[n] = index;
}

Xbyak::Opmask Emitter::mask_of(int n) {
  if (const auto prepared = prepared_masks_.find(n); prepared != prepared_masks_.end()) {
    return Xbyak::Opmask(prepared->second);
  }
  name_lanes(k1, 0, n);
  mov(eax, (1 << n) - 1);
  kmovw(k1, eax);
  return k1;
}

void Emitter::load_tail(const V16& to, const RegExp& from, int n) {
  if (n == 16) return load(to, from);
  if (isa_.wide()) {
    vmovups(to.part[0] | mask_of(n) | T_z, ptr[from]);
    return;
  }
  for (int p = 0; p < 2; ++p) {
    const Vec& v = to.part[static_cast<std::size_t>(p)];
    const int lanes = std::clamp(n - kMaskLanes * p, 0, kMaskLanes);
    if (lanes == 0) {
      vxorps(xmm_of(v), xmm_of(v), xmm_of(v));
    } else if (lanes == kMaskLanes) {
      vmovups(v, ptr[from + kPartBytes * p]);
    } else {
      vmovups(v, tail_mask(lanes));
      vmaskmovps(v, v, ptr[from + kPartBytes * p]);
    }
  }
}

void Emitter::load_tail(const V16& to, const RegExp& from, int n, Const fill) {
  if (n == 16) return load(to, from);
  broadcast(to, fill);
  if (isa_.wide()) {
    vmovups(to.part[0] | mask_of(n), ptr[from]);
    return;
  }
  VectorScope scope(*this);
  const Vec mask = next_vector("mask");
  const Vec values = next_vector("values");
  for (int p = 0; p < 2; ++p) {
    const Vec& v = to.part[static_cast<std::size_t>(p)];
    const int lanes = std::clamp(n - kMaskLanes * p, 0, kMaskLanes);
    if (lanes == 0) continue;
    vmovups(mask, tail_mask(lanes));
    vmaskmovps(values, mask, ptr[from + kPartBytes * p]);
    vblendvps(v, v, values, mask);
  }
}

void Emitter::store_tail(const RegExp& to, const V16& from, int n) {
  if (n == 16) return store(to, from);
  if (isa_.wide()) {
    vmovups(ptr[to] | mask_of(n), from.part[0]);
    return;
  }
  VectorScope scope(*this);
  const Vec mask = next_vector("mask");
  for (int p = 0; p < 2; ++p) {
    const Vec& v = from.part[static_cast<std::size_t>(p)];
    const int lanes = std::clamp(n - kMaskLanes * p, 0, kMaskLanes);
    if (lanes == kMaskLanes) {
      vmovups(ptr[to + kPartBytes * p], v);
    } else if (lanes > 0) {
      vmovups(mask, tail_mask(lanes));
      vmaskmovps(ptr[to + kPartBytes * p], mask, v);
    }
  }
}

void Emitter::load_as_f32(const V16& to, const RegExp& from, ElementType type) {
  if (type == ElementType::f32) return load(to, from);
  const int part_bytes = type == ElementType::q8_0 ? kPartBytes / 4 : kPartBytes / 2;
  for (int p = 0; p < to.parts; ++p) {
    const Vec& v = to.part[static_cast<std::size_t>(p)];
    const Xbyak::Address elements = ptr[from + part_bytes * p];
    if (type == ElementType::f16) {
      vcvtph2ps(v, elements);
    } else if (type == ElementType::bf16) {
      vpmovzxwd(v, elements);
      vpslld(v, v, 16);
    } else {
      vpmovsxbd(v, elements);
      vcvtdq2ps(v, v);
    }
  }
}

void Emitter::narrow(const V16& lanes, ElementType type) {
  if (type == ElementType::f16) {
    for (int p = 0; p < lanes.parts; ++p) {
      const Vec& v = lanes.part[static_cast<std::size_t>(p)];
      vcvtps2ph(half_of(v), v, 0);
    }
    return;
  }
  constexpr std::uint8_t kUnordered = 3;
  constexpr int kUpperHalf = 16;
  static_assert(kBfloatNaN == 0xFFFF);  // a mask's lower half
  VectorScope scope(*this);
  const Vec lowest = next_vector("lowest"), nan = next_vector("nan");
  for (int p = 0; p < lanes.parts; ++p) {
    const Vec& v = lanes.part[static_cast<std::size_t>(p)];
    if (isa_.wide()) {
      name(k1, "nan");
      vcmpps(k1, v, v, kUnordered);
      vpmovm2d(nan, k1);
    } else {
      vcmpps(nan, v, v, kUnordered);
    }
    vpsrld(nan, nan, kUpperHalf);
    // Half a unit of the last place to stay, less one where that place is even: a tie then goes to even.
    vpslld(lowest, v, 15);
    vpsrld(lowest, lowest, 31);
    vpaddd(v, v, constant(Const{0x7FFF}));
    vpaddd(v, v, lowest);
    vpsrld(v, v, kUpperHalf);
    vorps(v, v, nan);
    if (isa_.wide()) {
      vpmovdw(half_of(v), v);
    } else {
      vextracti128(xmm_of(lowest), ymm_of(v), 1);
      vpackusdw(xmm_of(v), xmm_of(v), xmm_of(lowest));
    }
  }
}

void Emitter::store_as(const RegExp& to, const V16& from, ElementType type) {
  if (type == ElementType::f32) return store(to, from);
  if (type == ElementType::q8_0) return store_s8(to, from, kLanes);
  narrow(from, type);
  for (int p = 0; p < from.parts; ++p) {
    vmovups(ptr[to + kPartBytes / 2 * p], half_of(from.part[static_cast<std::size_t>(p)]));
  }
}

void Emitter::scatter_as(const RegExp& to, int stride, const V16& from, int n, ElementType type) {
  VectorScope scope(*this);
  const Xmm piece = xmm_of(next_vector("piece"));
  V16 packed = from;
  int size = 4;  // of an element
  if (type == ElementType::q8_0) {
    packed.part[0] = packed_s8(from);
    size = 1;
  } else if (type != ElementType::f32) {
    narrow(from, type);
    size = 2;
  }
  constexpr int kPieceBytes = 16;
  const int per_piece = kPieceBytes / size;
  const int per_register = isa_.wide() || type == ElementType::q8_0 ? kLanes : kLanes / 2;
  for (int first = 0; first < n; first += per_piece) {
    const Vec& v = packed.part[static_cast<std::size_t>(first / per_register)];
    const int index = first % per_register / per_piece;
    if (index > 0) extract_piece(piece, v, index);
    const Xmm elements = index > 0 ? piece : xmm_of(v);
    for (int i = 0; i < std::min(per_piece, n - first); ++i) {
      store_element(to + (first + i) * stride, elements, i, size);
    }
  }
}

void Emitter::store_element(const RegExp& to, const Xmm& from, int index, int size) {
  const auto i = static_cast<std::uint8_t>(index);
  if (size == 4) {
    vextractps(ptr[to], from, i);
  } else if (size == 2) {
    vpextrw(ptr[to], from, i);
  } else {
    vpextrb(ptr[to], from, i);
  }
}

void Emitter::extract_piece(const Xmm& to, const Vec& from, int index) {
  const auto i = static_cast<std::uint8_t>(index);
  if (isa_.wide()) {
    vextractf32x4(to, Xbyak::Zmm(from.getIdx()), i);
  } else {
    vextractf128(to, ymm_of(from), i);
  }
}

Xmm Emitter::packed_s8(const V16& from) {
  const Xmm packed = xmm_of(next_vector("packed"));
  if (isa_.wide()) {
    vpmovsdb(packed, from.part[0]);
    return packed;
  }
  VectorScope scope(*this);
  const Xmm low = xmm_of(next_vector("low"));
  const Xmm high = xmm_of(next_vector("high"));
  vextracti128(high, ymm_of(from.part[0]), 1);
  vpackssdw(packed, xmm_of(from.part[0]), high);
  vextracti128(high, ymm_of(from.part[1]), 1);
  vpackssdw(low, xmm_of(from.part[1]), high);
  vpacksswb(packed, packed, low);
  return packed;
}

void Emitter::store_s8(const RegExp& to, const V16& from, int bytes) {
  VectorScope scope(*this);
  const Xmm packed = packed_s8(from);
  if (bytes == 16) {
    vmovups(ptr[to], packed);
  } else if (bytes == 4) {
    vmovd(ptr[to], packed);
  } else {
    vmovq(ptr[to], packed);
    if (bytes == 12) vpextrd(ptr[to + 8], packed, 2);
  }
}

}  // namespace llamajit::jit
