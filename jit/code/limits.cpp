#include "jit/code/limits.h"

#include <memory>
#include <vector>

#include "jit/emit/dot.h"
#include "jit/emit/emitter.h"
#include "jit/kernels/kernels.h"

namespace llamajit::jit {
namespace {

constexpr std::int64_t kReadBytes = 256;  // of one turn
constexpr std::size_t kBufferBytes = 4096;

// Sums in flight that hide any latency: 12 vectors of 512
// bits, or 6 pairs of 256, leave room for the operands.
int chains(Isa isa) {
  return isa.wide() ? 12 : 5;
}

int dot_chains(Isa isa) {
  return isa.wide() || isa.has_dot() ? chains(isa) : 4;
}

// A turn has as many steps of the dot product as the longest run has.
constexpr int kDotSteps = 4;

void emit_read(Emitter& e) {
  const Reg64 data = e.gpr(), turns = e.gpr();
  const std::vector<V16> sums = e.v16s(4);
  e.enter();
  e.mov(data, e.rdi);
  e.mov(turns, e.rsi);
  for (const V16& sum : sums) e.zero(sum);
  e.repeat(turns, [&] {
    for (std::size_t i = 0; i < sums.size(); ++i) e.add(sums[i], sums[i], data + static_cast<int>(i) * 64);
    e.add(data, static_cast<std::uint32_t>(kReadBytes));
  });
  e.leave();
}

// multiply(sum, a, b) for each of the sums; a and b have these bits in all lanes.
template <class Multiply>
void emit_products(Emitter& e, Const a_bits, Const b_bits, Multiply multiply) {
  const Reg64 turns = e.gpr();
  const V16 a = e.uniform16(), b = e.uniform16();
  const std::vector<V16> sums = e.v16s(chains(e.isa()));
  e.enter();
  e.mov(turns, e.rsi);
  e.broadcast(a, a_bits);
  e.broadcast(b, b_bits);
  for (const V16& sum : sums) e.zero(sum);
  e.repeat(turns, [&] {
    for (const V16& sum : sums) multiply(sum, a, b);
  });
  e.leave();
}

void emit_multiply(Emitter& e) {
  emit_products(e, f32(1.0F), f32(0.5F),
                [&](const V16& sum, const V16& a, const V16& b) { e.fma(sum, a, b); });
}

// Where the tier has the instruction.
void emit_dot_bf16(Emitter& e) {
  constexpr Const kOnes{0x3F803F80};
  emit_products(e, kOnes, kOnes, [&](const V16& sum, const V16& a, const V16& b) {
    e.vdpbf16ps(sum.part[0], a.part[0], b.part[0]);
  });
}

void emit_dot(Emitter& e, Sums16 sums16) {
  const Reg64 turns = e.gpr();
  const std::unique_ptr<const Dot> dot = Dot::choose(e, sums16, true);
  const Dot::Inputs x = dot->inputs({});
  const Dot::Weights w = dot->weights(0, {});
  const V16 temp = dot->needs_temp() ? e.v16() : V16();
  const std::vector<V16> sums = e.v16s(dot_chains(e.isa()));
  const V16 run = dot->needs_run() ? e.v16() : V16();
  e.enter();
  e.mov(turns, e.rsi);
  for (const V16& v : {w.codes, w.signs, x.codes, x.negated}) e.broadcast(v, Const{0x01010101});
  if (x.negated.parts > 0) e.vpmovb2m(w.negative, w.codes.part[0]);
  for (const V16& sum : sums) e.zero(sum);
  e.repeat(turns, [&] {
    if (!dot->needs_run()) {
      for (int i = 0; i < kDotSteps; ++i) {
        for (const V16& sum : sums) dot->add(sum, w, x, temp, Dot::Run());
      }
    } else {
      for (const V16& sum : sums) {
        for (int step = 0; step < kDotSteps; ++step) dot->add(sum, w, x, temp, {run, step, kDotSteps});
      }
    }
  });
  e.leave();
}

constexpr int kTileChains = 6;  // beside the two operands

// Of full tiles, which hold zeros.
void emit_dot_tiles(Emitter& e) {
  const Reg64 turns = e.gpr();
  const auto sums = e.tiles({kTileChains}, {}), operands = e.tiles({2}, {});
  const std::vector<TileShape> shapes(sums.size() + operands.size(), {kLanes, kLanes * 4});
  e.enter();
  e.mov(turns, e.rsi);
  e.configure_tiles(shapes);
  e.repeat(turns, [&] {
    for (const Xbyak::Tmm& sum : sums) e.dot_tiles(sum, operands[0], operands[1], TileBytes::u8);
  });
  e.leave();
}

// Appends a loop to `code` and returns where it begins.
template <class Emit>
std::size_t append(std::vector<std::uint8_t>& code, Isa isa, Emit emit) {
  alignas(64) std::uint8_t buffer[kBufferBytes];
  Emitter e(isa, buffer);
  emit(e);
  const std::size_t offset = code.size();
  code.insert(code.end(), e.getCode(), e.getCode() + e.getSize());
  code.resize(static_cast<std::size_t>(round_up(static_cast<std::int64_t>(code.size()), 64)), 0xCC);
  return offset;
}

}  // namespace

LimitKernels::LimitKernels(Isa isa) : isa_(isa) {
  std::vector<std::uint8_t> code;
  append(code, isa, emit_read);
  multiply_at_ = append(code, isa, emit_multiply);
  for (std::size_t i = 0; i < dot_at_.size(); ++i) {
    dot_at_[i] = append(code, isa, [&](Emitter& e) { emit_dot(e, static_cast<Sums16>(i)); });
  }
  if (isa.has_bf16_dot()) dot_bf16_at_ = append(code, isa, emit_dot_bf16);
  if (isa.has_tiles()) dot_tiles_at_ = append(code, isa, emit_dot_tiles);
  memory_ = ExecutableMemory(code);
}

LimitKernels::Loop LimitKernels::at(std::size_t offset) const {
  return reinterpret_cast<Loop>(reinterpret_cast<std::uintptr_t>(memory_.data() + offset));
}

void LimitKernels::read(const std::byte* data, std::int64_t bytes) const {
  if (bytes >= kReadBytes) at(0)(data, bytes / kReadBytes);
}

std::int64_t LimitKernels::multiply_f32(std::int64_t turns) const {
  at(multiply_at_)(nullptr, turns);
  return std::int64_t{2} * kLanes * chains(isa_);
}

std::int64_t LimitKernels::multiply_bf16(std::int64_t turns) const {
  if (!isa_.has_bf16_dot()) return multiply_f32(turns);
  at(dot_bf16_at_)(nullptr, turns);
  return std::int64_t{2} * 2 * kLanes * chains(isa_);
}

std::int64_t LimitKernels::dot_u8s8(std::int64_t turns, Sums16 sums) const {
  at(dot_at_[static_cast<std::size_t>(sums)])(nullptr, turns);
  return std::int64_t{2} * 4 * kLanes * dot_chains(isa_) * kDotSteps;
}

std::int64_t LimitKernels::dot_tiles(std::int64_t turns) const {
  if (!isa_.has_tiles()) return dot_u8s8(turns);
  at(dot_tiles_at_)(nullptr, turns);
  return std::int64_t{2} * kLanes * kLanes * kLanes * 4 * kTileChains;
}

}  // namespace llamajit::jit
