// The walk over a matrix's units that matvec and matmul share.
#pragma once

#include <cstddef>

#include "jit/base/lanes.h"
#include "jit/emit/emitter.h"

namespace llamajit::jit {

struct UnitRegisters {
  Reg64 w;      // the first weight of the unit at hand
  Reg64 out;    // its first result
  Reg64 units;  // whole units still to do
};

// Emits body(n_units, rows) for runs of `block` whole units, then for single ones, then for the padded last
// unit, if the range of the Args has it: `rows` of each unit are the matrix's own. The body moves w and out
// past its units. Clobbers rax.
template <class Args, class Body>
void over_units(Emitter& e, const UnitRegisters& r, int rows, int unit_bytes, int block, Body body) {
  const int full_units = rows / kLanes;
  const int tail_rows = rows % kLanes;
  e.note("whole units of the range, and where its first weights and results lie");
  e.mov(r.units, e.ptr[e.args() + offsetof(Args, unit_end)]);
  e.mov(e.scratch(), full_units);
  e.cmp(r.units, e.scratch());
  e.cmovg(r.units, e.scratch());
  e.mov(r.w, e.ptr[e.args() + offsetof(Args, unit_begin)]);
  e.sub(r.units, r.w);
  e.mov(r.out, r.w);
  e.shl(r.out, 6);  // a unit is sixteen floats of the result
  e.add(r.out, e.ptr[e.args() + offsetof(Args, out)]);
  e.imul(r.w, r.w, unit_bytes);
  e.add(r.w, e.ptr[e.args() + offsetof(Args, w)]);

  e.while_at_least(r.units, block, [&] {
    e.note("units of 16 rows: {} at once", block);
    body(block, kLanes);
  });
  if (block > 1) {
    e.while_at_least(r.units, 1, [&] {
      e.note("a single unit of 16 rows");
      body(1, kLanes);
    });
  }
  if (tail_rows == 0) return;
  Xbyak::Label done;
  e.note("the last {} rows, if the range has them", tail_rows);
  e.test(r.units, r.units);  // below zero where our range begins, empty, behind the last unit
  e.jnz(done, Emitter::T_NEAR);
  e.cmp(e.qword[e.args() + offsetof(Args, unit_end)], full_units);
  e.jle(done, Emitter::T_NEAR);
  body(1, tail_rows);
  e.L(done, "done");
}

}  // namespace llamajit::jit
