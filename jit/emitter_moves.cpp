#include <algorithm>
#include <cassert>

#include "jit/emitter.h"

namespace llamajit::jit {

using Xbyak::Xmm;

// --- moves
// ---------------------------------------------------------------------------------------------------------

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
  mov(eax, (1 << n) - 1);
  kmovw(Xbyak::Opmask(index), eax);
  prepared_masks_[n] = index;
}

Xbyak::Opmask Emitter::mask_of(int n) {
  if (const auto prepared = prepared_masks_.find(n); prepared != prepared_masks_.end()) {
    return Xbyak::Opmask(prepared->second);
  }
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
  const Vec mask = next_vector();
  const Vec values = next_vector();
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
  const Vec mask = next_vector();
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

void Emitter::load_as_f32(const V16& to, const RegExp& from, KvType type) {
  if (type == KvType::f32) return load(to, from);
  for (int p = 0; p < to.parts; ++p) {
    const Vec& v = to.part[static_cast<std::size_t>(p)];
    const Xbyak::Address halves = ptr[from + kPartBytes / 2 * p];
    if (type == KvType::f16) {
      vcvtph2ps(v, halves);
    } else {
      vpmovzxwd(v, halves);
      vpslld(v, v, 16);
    }
  }
}

void Emitter::store_as(const RegExp& to, const V16& from, KvType type) {
  if (type == KvType::f32) return store(to, from);
  VectorScope scope(*this);
  const V16 odd = v16();
  for (int p = 0; p < from.parts; ++p) {
    const Vec& v = from.part[static_cast<std::size_t>(p)];
    const Vec& lowest = odd.part[static_cast<std::size_t>(p)];
    const Xbyak::Address halves = ptr[to + kPartBytes / 2 * p];
    if (type == KvType::f16) {
      vcvtps2ph(halves, v, 0);
      continue;
    }
    // Half a unit of the last place to stay, less one where that place is even: a tie then goes to even.
    vpslld(lowest, v, 15);
    vpsrld(lowest, lowest, 31);
    vpaddd(v, v, constant(Const{0x7FFF}));
    vpaddd(v, v, lowest);
    vpsrld(v, v, 16);
    if (isa_.wide()) {
      vpmovdw(halves, v);
    } else {
      vextracti128(xmm_of(lowest), ymm_of(v), 1);
      vpackusdw(xmm_of(v), xmm_of(v), xmm_of(lowest));
      vmovups(halves, xmm_of(v));
    }
  }
}

void Emitter::convert_one(const RegExp& to, const RegExp& from, KvType type, const Reg64& temp) {
  const Xbyak::Reg32 value = eax;
  mov(value, ptr[from]);
  if (type == KvType::f32) {
    mov(ptr[to], value);
    return;
  }
  if (type == KvType::f16) {
    VectorScope scope(*this);
    const Xmm half = xmm_of(next_vector());
    vmovd(half, value);
    vcvtps2ph(half, half, 0);
    vmovd(value, half);
  } else {
    mov(temp.cvt32(), value);
    shr(temp.cvt32(), 16);
    and_(temp.cvt32(), 1);
    lea(value, ptr[rax + temp + 0x7FFF]);
    shr(value, 16);
  }
  mov(ptr[to], ax);
}

void Emitter::store_s8(const RegExp& to, const V16& from, int bytes) {
  VectorScope scope(*this);
  const Xmm packed = xmm_of(next_vector());
  const Xmm high = xmm_of(next_vector());
  if (isa_.wide()) {
    vpmovsdb(packed, from.part[0]);
  } else {
    const Xmm part_high = xmm_of(next_vector());
    vextracti128(high, ymm_of(from.part[0]), 1);
    vpackssdw(packed, xmm_of(from.part[0]), high);
    vextracti128(part_high, ymm_of(from.part[1]), 1);
    vpackssdw(high, xmm_of(from.part[1]), part_high);
    vpacksswb(packed, packed, high);
  }
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
