#include "jit/emitter.h"

#include <algorithm>
#include <cassert>

namespace llamajit::jit {
namespace {

using Xbyak::Ymm;
using Xbyak::Zmm;

// The pool, caller-saved registers first: a kernel that needs few saves none. rdi and rax stand outside.
constexpr std::array kGprs = {Xbyak::Operand::RCX, Xbyak::Operand::RDX, Xbyak::Operand::RSI,
                              Xbyak::Operand::R8,  Xbyak::Operand::R9,  Xbyak::Operand::R10,
                              Xbyak::Operand::R11, Xbyak::Operand::RBX, Xbyak::Operand::R12,
                              Xbyak::Operand::R13, Xbyak::Operand::R14, Xbyak::Operand::R15};
constexpr int kCallerSaved = 7;

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

V16 Emitter::part16() {
  const Vec only = next_vector();
  return {{only, only}, 1};
}

std::vector<V16> Emitter::v16s(int count) {
  std::vector<V16> out;
  out.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) out.push_back(v16());
  return out;
}

std::vector<V16> Emitter::part16s(int count) {
  std::vector<V16> out;
  out.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) out.push_back(part16());
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
  if (uses_lane_numbers_) {
    align(64);
    L(lane_numbers_);
    for (std::uint32_t lane = 0; lane < 16; ++lane) dd(lane);
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
