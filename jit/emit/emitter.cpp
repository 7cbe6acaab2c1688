#include "jit/emit/emitter.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <functional>
#include <numeric>

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

Emitter::Emitter(Isa isa, std::span<std::uint8_t> buffer, Annotations* annotations)
    : CodeGenerator(buffer.size(), buffer.data()), isa_(isa), annotations_(annotations) {
  setDefaultEncoding(isa.wide() ? Xbyak::EvexEncoding : Xbyak::VexEncoding);
  name(args(), "args");
  name(scratch(), "scratch");
}

// --- registers

Reg64 Emitter::gpr(std::string_view role) {
  assert(static_cast<std::size_t>(next_gpr_) < kGprs.size());
  const Reg64 reg(kGprs[static_cast<std::size_t>(next_gpr_++)]);
  name(reg, role);
  return reg;
}

Vec Emitter::take_vector() {
  assert(next_vector_ < vectors());
  const int index = next_vector_++;
  return isa_.wide() ? Vec(Zmm(index)) : Vec(Ymm(index));
}

Vec Emitter::next_vector(std::string_view role) {
  const Vec v = take_vector();
  name(v, role);
  return v;
}

V16 Emitter::v16(std::string_view role) {
  return v16s({}, role).front();
}

V16 Emitter::uniform16(std::string_view role) {
  const Vec only = next_vector(role);
  return {{only, only}, isa_.wide() ? 1 : 2};
}

V16 Emitter::part16(std::string_view role) {
  const Vec only = next_vector(role);
  return {{only, only}, 1};
}

std::vector<V16> Emitter::v16s(int count, std::string_view role) {
  return v16s({count}, role);
}

std::vector<V16> Emitter::v16s(std::initializer_list<int> shape, std::string_view role) {
  return take_vectors(parts(), shape, role);
}

std::vector<V16> Emitter::part16s(int count, std::string_view role) {
  return part16s({count}, role);
}

std::vector<V16> Emitter::part16s(std::initializer_list<int> shape, std::string_view role) {
  return take_vectors(1, shape, role);
}

std::vector<V16> Emitter::take_vectors(int registers_each, std::initializer_list<int> shape,
                                       std::string_view role) {
  record_role(Annotations::File::vector, next_vector_, registers_each, shape, role);
  std::vector<V16> out(
      static_cast<std::size_t>(std::accumulate(shape.begin(), shape.end(), 1, std::multiplies<>())));
  for (V16& value : out) {
    value.part[0] = take_vector();
    value.part[1] = registers_each == 2 ? take_vector() : value.part[0];
    value.parts = registers_each;
  }
  return out;
}

// --- the frame

void Emitter::enter(int stack_bytes) {
  using Change = Annotations::Frame::Change;
  endbr64();
  push(rbp);
  record([](Annotations& a, std::uint32_t at) { a.frame.rbp_pushed = at; });
  mov(rbp, rsp);
  record([](Annotations& a, std::uint32_t at) { a.frame.rbp_set = at; });
  saved_ = std::max(0, next_gpr_ - kCallerSaved);
  for (int i = 0; i < saved_; ++i) {
    const Reg64 reg(kGprs[static_cast<std::size_t>(kCallerSaved + i)]);
    push(reg);
    record([&](Annotations& a, std::uint32_t at) { a.frame.saved.push_back(Change{at, reg.getIdx()}); });
  }
  if (stack_bytes == 0) return;
  has_scratch_ = true;
  sub(rsp, stack_bytes);
  and_(rsp, -64);
}

void Emitter::leave() {
  using Change = Annotations::Frame::Change;
  note("return");
  if (!tile_configs_.empty()) tilerelease();
  if (has_scratch_) lea(rsp, ptr[rbp - 8 * saved_]);
  for (int i = saved_; i-- > 0;) {
    const Reg64 reg(kGprs[static_cast<std::size_t>(kCallerSaved + i)]);
    pop(reg);
    record([&](Annotations& a, std::uint32_t at) { a.frame.restored.push_back(Change{at, reg.getIdx()}); });
  }
  pop(rbp);
  record([](Annotations& a, std::uint32_t at) { a.frame.rbp_popped = at; });
  vzeroupper();
  ret();
  record([](Annotations& a, std::uint32_t at) { a.code_bytes = at; });
  lay_down_constants();
}

void Emitter::lay_down_constants() {
  for (auto& [bits, label] : constants_) {
    align(64);
    L(label);
    std::vector<std::uint32_t> lanes(isa_.wide() ? 16 : 8, bits.first);
    if (isa_.wide()) std::fill_n(lanes.begin() + 8, 8, bits.second);
    record_constant(lanes,
                    bits.first == bits.second ? "" : fmt::format("({:#x}, {:#x})", bits.first, bits.second));
    for (const std::uint32_t lane : lanes) dd(lane);
  }
  if (uses_lane_numbers_) {
    align(64);
    L(lane_numbers_);
    std::vector<std::uint32_t> numbers(kLanes);
    std::iota(numbers.begin(), numbers.end(), 0U);
    record_constant(numbers, "lane numbers");
    for (const std::uint32_t lane : numbers) dd(lane);
  }
  if (!table_.empty()) {
    align(16);
    L(table_label_);
    lay_down(table_, "a table of bytes");
  }
  if (uses_tail_masks_) {
    align(64);
    L(tail_masks_);
    std::vector<std::uint32_t> masks(std::size_t{2} * kMaskLanes);
    std::fill_n(masks.begin(), kMaskLanes, ~0U);
    record_constant(masks, "a mask of lanes");
    for (const std::uint32_t lane : masks) dd(lane);
  }
  for (auto& [config, label] : tile_configs_) {
    align(64);
    L(label);
    lay_down(config, "the tiles' shapes");
  }
}

// A whole number of 32-bit values.
void Emitter::lay_down(std::span<const std::uint8_t> bytes, std::string_view meaning) {
  std::vector<std::uint32_t> words(bytes.size() / 4);
  std::memcpy(words.data(), bytes.data(), bytes.size());
  record_constant(words, meaning);
  for (const std::uint32_t value : words) dd(value);
}

Xbyak::Address Emitter::constant(Const value) {
  return constant(value, value);
}

Xbyak::Address Emitter::constant(Const first_half, Const second_half) {
  return ptr[rip + constants_[{first_half.bits, second_half.bits}]];
}

Xbyak::Address Emitter::tail_mask(int n) {
  uses_tail_masks_ = true;
  return ptr[rip + tail_masks_ + 4 * (kMaskLanes - n)];
}

// --- control

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
