#include "jit/emitter.h"

#include <algorithm>
#include <cassert>

namespace llamajit::jit {
namespace {

using Xbyak::Xmm;
using Xbyak::Ymm;
using Xbyak::Zmm;

constexpr int kPartBytes = 32;  // a ymm

// The pool, caller-saved registers first: a kernel that needs few saves none. rdi and rax stand outside.
constexpr std::array kGprs = {Xbyak::Operand::RCX, Xbyak::Operand::RDX, Xbyak::Operand::RSI,
                              Xbyak::Operand::R8,  Xbyak::Operand::R9,  Xbyak::Operand::R10,
                              Xbyak::Operand::R11, Xbyak::Operand::RBX, Xbyak::Operand::R12,
                              Xbyak::Operand::R13, Xbyak::Operand::R14, Xbyak::Operand::R15};
constexpr int kCallerSaved = 7;

Ymm ymm_of(const Vec& v) {
  return Ymm(v.getIdx());
}
Xmm xmm_of(const Vec& v) {
  return Xmm(v.getIdx());
}

}  // namespace

Emitter::Emitter(Isa isa, std::span<std::uint8_t> buffer)
    : CodeGenerator(buffer.size(), buffer.data()), isa_(isa) {
  setDefaultEncoding(isa.wide() ? Xbyak::EvexEncoding : Xbyak::VexEncoding);
}

// --- registers
// ---------------------------------------------------------------------------------------------------

Reg64 Emitter::gpr() {
  assert(static_cast<std::size_t>(next_gpr_) < kGprs.size());
  return Reg64(kGprs[static_cast<std::size_t>(next_gpr_++)]);
}

Vec Emitter::next_vector() {
  assert(next_vector_ < vectors());
  const int index = next_vector_++;
  return isa_.wide() ? Vec(Zmm(index)) : Vec(Ymm(index));
}

V16 Emitter::v16() {
  const Vec first = next_vector();
  if (isa_.wide()) return {{first, first}, 1};
  return {{first, next_vector()}, 2};
}

V16 Emitter::uniform16() {
  const Vec only = next_vector();
  return {{only, only}, isa_.wide() ? 1 : 2};
}

std::vector<V16> Emitter::v16s(int count) {
  std::vector<V16> out;
  out.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) out.push_back(v16());
  return out;
}

// --- the frame
// ---------------------------------------------------------------------------------------------------

void Emitter::enter(int stack_bytes) {
  endbr64();
  push(rbp);
  mov(rbp, rsp);
  saved_ = std::max(0, next_gpr_ - kCallerSaved);
  for (int i = 0; i < saved_; ++i) push(Reg64(kGprs[static_cast<std::size_t>(kCallerSaved + i)]));
  if (stack_bytes == 0) return;
  has_scratch_ = true;
  sub(rsp, stack_bytes);
  and_(rsp, -64);
}

void Emitter::leave() {
  if (has_scratch_) lea(rsp, ptr[rbp - 8 * saved_]);
  for (int i = saved_; i-- > 0;) pop(Reg64(kGprs[static_cast<std::size_t>(kCallerSaved + i)]));
  pop(rbp);
  vzeroupper();
  ret();
  for (auto& [bits, label] : constants_) {
    align(64);
    L(label);
    for (int lane = 0; lane < (isa_.wide() ? 16 : 8); ++lane) dd(bits);
  }
  if (uses_tail_masks_) {
    align(64);
    L(tail_masks_);
    for (int lane = 0; lane < 2 * kMaskLanes; ++lane) dd(lane < kMaskLanes ? ~0U : 0U);
  }
}

Xbyak::Address Emitter::constant(Const value) {
  return ptr[rip + constants_[value.bits]];
}

Xbyak::Address Emitter::tail_mask(int n) {
  uses_tail_masks_ = true;
  return ptr[rip + tail_masks_ + 4 * (kMaskLanes - n)];
}

template <class Op>
void Emitter::each(const V16& to, const Source& b, Op op) {
  for (int p = 0; p < to.parts; ++p) {
    const auto part = static_cast<std::size_t>(p);
    if (p == 1 && to.uniform()) return;
    if (const auto* lanes = std::get_if<V16>(&b)) {
      op(part, lanes->part[part]);
    } else if (const auto* memory = std::get_if<RegExp>(&b)) {
      op(part, ptr[*memory + kPartBytes * p]);
    } else {
      op(part, constant(std::get<Const>(b)));
    }
  }
}

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

// --- lane arithmetic
// -----------------------------------------------------------------------------------------------

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
    mov(eax, 0xFFFF & ~((1 << n) - 1));
    kmovw(k1, eax);
    vmovaps(to.part[0] | k1, constant(fill));
    return;
  }
  VectorScope scope(*this);
  const Vec mask = next_vector();
  const Vec filler = next_vector();
  vmovaps(filler, constant(fill));
  for (int p = 0; p < 2; ++p) {
    const Vec& v = to.part[static_cast<std::size_t>(p)];
    vmovups(mask, tail_mask(std::clamp(n - kMaskLanes * p, 0, kMaskLanes)));
    vblendvps(v, filler, v, mask);
  }
}

void Emitter::equal_mask(const Reg64& to, const Reg64& temp, const V16& a, const V16& b) {
  if (isa_.wide()) {
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

void Emitter::to_float(const V16& to, const V16& a) {
  each(to, a, [&](std::size_t p, const Xbyak::Operand& o) { vcvtdq2ps(to.part[p], o); });
}

void Emitter::to_int(const V16& to, const V16& a) {
  each(to, a, [&](std::size_t p, const Xbyak::Operand& o) { vcvtps2dq(to.part[p], o); });
}

void Emitter::shift_left(const V16& to, const V16& a, int bits) {
  for (std::size_t p = 0; p < static_cast<std::size_t>(to.parts); ++p) {
    vpslld(to.part[p], a.part[p], static_cast<std::uint8_t>(bits));
  }
}

void Emitter::add_i32(const V16& to, const V16& a, const Source& b) {
  each(to, b, [&](std::size_t p, const Xbyak::Operand& o) { vpaddd(to.part[p], a.part[p], o); });
}

// --- sixteen lanes to one
// --------------------------------------------------------------------------------------------

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
  return fold(from, temp, [this](const Xmm& a, const Xmm& b) { vaddps(a, a, b); });
}

Vec Emitter::fold_add_i32(const V16& from, const V16& temp) {
  return fold(from, temp, [this](const Xmm& a, const Xmm& b) { vpaddd(a, a, b); });
}

Vec Emitter::fold_max(const V16& from, const V16& temp) {
  return fold(from, temp, [this](const Xmm& a, const Xmm& b) { vmaxps(a, a, b); });
}

// --- the dot product of 4 bytes a lane
// ---------------------------------------------------------------------------------

Emitter::Bytes4 Emitter::bytes4() {
  if (isa_.has_dot()) {
    const V16 all = uniform16();
    return {all, all, all};
  }
  const V16 even = uniform16();
  return {even, even, uniform16()};
}

void Emitter::broadcast_bytes4(const Bytes4& to, const RegExp& from) {
  const Vec& even = to.even.part[0];
  vpbroadcastd(even, ptr[from]);
  if (isa_.has_dot()) return;
  const Vec& odd = to.odd.part[0];
  vpsraw(odd, even, 8);
  vpsllw(even, even, 8);
  vpsraw(even, even, 8);
}

void Emitter::dot_u8s8(const V16& acc, const V16& w, const Bytes4& x, const V16& temp, const V16& low_bytes) {
  for (std::size_t p = 0; p < static_cast<std::size_t>(acc.parts); ++p) {
    if (isa_.has_dot()) {
      vpdpbusd(acc.part[p], w.part[p], x.all.part[p]);
      continue;
    }
    // Codes of up to 255 would saturate vpmaddubsw's i16 sums; as i16 of their own they can't: 2*255*128 <
    // 2^31.
    if (isa_.wide()) {
      vpandd(temp.part[p], w.part[p], low_bytes.part[p]);
    } else {
      vpand(temp.part[p], w.part[p], low_bytes.part[p]);
    }
    vpmaddwd(temp.part[p], temp.part[p], x.even.part[p]);
    vpaddd(acc.part[p], acc.part[p], temp.part[p]);
    vpsrlw(temp.part[p], w.part[p], 8);
    vpmaddwd(temp.part[p], temp.part[p], x.odd.part[p]);
    vpaddd(acc.part[p], acc.part[p], temp.part[p]);
  }
}

// --- control
// -------------------------------------------------------------------------------------------------------------

void Emitter::advance(const Reg64& to, std::int64_t bytes) {
  if (bytes == 0) return;
  if (bytes == static_cast<std::int32_t>(bytes)) {
    add(to, static_cast<std::uint32_t>(static_cast<std::int32_t>(bytes)));
    return;
  }
  mov(scratch(), static_cast<std::uint64_t>(bytes));
  add(to, scratch());
}

}  // namespace llamajit::jit
