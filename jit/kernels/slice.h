// The walk over a slice of a vector, whose Args say where it begins and ends: [begin, end), `begin` a
// multiple of sixteen, `end` too but where it is the vector's.
#pragma once

#include <cstddef>

#include "jit/emit/emitter.h"

namespace llamajit::jit {

// at = how many bytes of a vector lie before the slice, vectors = how many whole vectors it has.
template <class Args>
void find_slice_at(Emitter& e, const Reg64& at, const Reg64& vectors) {
  e.mov(at, e.ptr[e.args() + offsetof(Args, begin)]);
  e.mov(vectors, e.ptr[e.args() + offsetof(Args, end)]);
  e.sub(vectors, at);
  e.shr(vectors, 4);
  e.shl(at, 2);
}

// x = the slice's first value, vectors = how many whole vectors it has. The vector's address is in the Args.
template <class Args>
void find_slice(Emitter& e, const Reg64& x, const Reg64& vectors, std::size_t vector) {
  find_slice_at<Args>(e, x, vectors);
  e.add(x, e.ptr[e.args() + vector]);
}

// Runs body() if the slice ends with the vector of n values, whose last lanes fill no vector.
template <class Args, class Body>
void at_tail_of_slice(Emitter& e, int n, Body body) {
  if (n % kLanes == 0) return;
  Xbyak::Label done;
  e.note("the last {} values, if the slice has them", n % kLanes);
  e.cmp(e.qword[e.args() + offsetof(Args, end)], n);
  e.jne(done, Emitter::T_NEAR);
  body();
  e.L(done, "behind_tail");
}

}  // namespace llamajit::jit
