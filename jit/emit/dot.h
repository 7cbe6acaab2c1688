// The dot product of four bytes a lane, in the way that the tier and the codes allow.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "jit/emit/emitter.h"
#include "jit/formats/format.h"

namespace llamajit::jit {

inline constexpr Const kOnePairs{0x00010001};  // 1 in each 16 bits

// Weights are unsigned codes, activations codes -127..127. There are three ways, chosen once for a kernel:
// the instruction for it; products in 16 bits, where they hold at least those of a step; and, of codes that
// 16 bits do not hold, magnitudes times activations that have taken the weights' signs. The sums are exact in
// each, so that all give the same bits.
class Dot {
 public:
  // What a lane multiplies: four columns of its row.
  struct Weights {
    V16 codes;               // unsigned, or magnitudes
    V16 signs;               // of the magnitudes: on 256-bit tiers the signed codes
    Xbyak::Opmask negative;  // on 512-bit ones a bit for each byte
  };
  struct Inputs {
    V16 codes;
    V16 negated;  // where Weights have `negative`
  };
  // Of steps whose products are added up in 16 bits first: their sum, and which step of how many is being
  // added.
  struct Run {
    V16 sum;
    int step = 0, steps = 0;
  };

  // Of codes whose sums stay within 16 bits for so long. Weights fill sixteen lanes (`whole`) or a part16().
  static std::unique_ptr<const Dot> choose(Emitter& emitter, Sums16 sums, bool whole);
  Dot(Emitter& emitter, bool is_whole) : e(emitter), whole(is_whole) {}
  virtual ~Dot() = default;
  Dot(const Dot&) = delete;
  Dot& operator=(const Dot&) = delete;

  // The next free registers. Up to three weights that are alive together take different numbers.
  virtual Weights weights(int index, std::string_view role) const;
  virtual Inputs inputs(std::string_view role) const;
  virtual bool needs_temp() const { return true; }
  virtual bool needs_run() const { return false; }

  virtual void make_ready(const Weights& /*w*/) const {}  // whose codes have come into their register
  void load(const Weights& to, const RegExp& from) const;
  virtual void broadcast(const Inputs& to, const RegExp& from) const;
  // acc = what a sum starts from; `offset` is the address of the correction for the weights' zero point that
  // a quantised vector brings along, where there is one.
  virtual void start(const V16& acc, const std::optional<RegExp>& offset) const = 0;
  // acc[lane] += sum of w[lane][j] * x[j], j = 0..3, exact; with runs as they end. Clobbers `temp`.
  virtual void add(const V16& acc, const Weights& w, const Inputs& x, const V16& temp,
                   const Run& run) const = 0;
  // The same with x in memory. Clobbers `x`, where the way needs it in a register.
  virtual void add_broadcast(const V16& acc, const Weights& w, const RegExp& from, const Inputs& x,
                             const V16& temp, const Run& run) const;
  // to = a + b, of sums that add() has added to.
  virtual void combine(const V16& to, const V16& a, const V16& b) const { e.add_i32(to, a, b); }
  // acc = the i32 sum; `offset` is start()'s. Clobbers `temp`.
  virtual void finish(const V16& /*acc*/, const std::optional<RegExp>& /*offset*/,
                      const V16& /*temp*/) const {}

 protected:
  V16 take(std::string_view role) const { return whole ? e.v16(role) : e.part16(role); }

  Emitter& e;
  const bool whole;
};

}  // namespace llamajit::jit
