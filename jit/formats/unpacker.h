// Takes the codes of packed records (packing.h) apart, four columns of sixteen rows at a time.
#pragma once

#include <vector>

#include "jit/emitter.h"
#include "jit/formats/packing.h"

namespace llamajit::jit {

class Unpacker {
 public:
  // Takes the registers that it needs for as long as the caller's VectorScope lives; `whole` as in
  // weights4().
  Unpacker(Emitter& emitter, const CodesLayout& codes_layout, bool whole);

  // Fills registers with constants: before the first step.
  void begin() const;
  // to = the codes of the record's step number `step`, as they are multiplied.
  void emit_step(const V16& to, const RegExp& record, int step) const;

 private:
  int position(const Plane& plane) const { return plane.position + layout_.shift; }
  // A byte of each: what a code has of the plane.
  Const mask_of(const Plane& plane) const;

  Emitter& e_;
  const CodesLayout& layout_;
  std::vector<V16> masks_;  // of each plane; none for whole bytes
  V16 upper_;               // bits of the second plane
  V16 table_;
};

// Registers, all of the same lanes; the second is clobbered, and not used without subgroups.
struct ScaleRegisters {
  V16 result, temp;
};
// result = scale * subscale, or min * submin, of subgroup `s`: of all rows, or with registers for half of
// them of the first or second `half`.
void emit_scale(Emitter& e, const CodesLayout& layout, const ScaleRegisters& r, const RegExp& record, int s,
                int half);
void emit_min(Emitter& e, const CodesLayout& layout, const ScaleRegisters& r, const RegExp& record, int s,
              int half);

// A kernel's load_as_f32() of 16-bit weights; they are those of a cache.
KvType float_type(FormatKind kind);

}  // namespace llamajit::jit
