// The walk over tokens that RoPE and the KV cache's writing share: each token has its heads in two matrices.
#pragma once

#include <cstddef>

#include "jit/emit/emitter.h"

namespace llamajit::jit {

// Emits body() for each of the Args' n_tokens tokens, of which `token` is the number.
template <class Args, class Body>
void over_tokens(Emitter& e, const Reg64& token, Body body) {
  Xbyak::Label next_token;
  e.xor_(token, token);
  e.L(next_token, "next_token");
  body();
  e.inc(token);
  e.cmp(token, e.ptr[e.args() + offsetof(Args, n_tokens)]);
  e.jl(next_token, Emitter::T_NEAR);
}

// A register is to hold where the token's first head lies in a matrix, whose address is in the Args.
struct HeadsOf {
  Reg64 to;
  std::size_t matrix;  // offset in the Args
};
template <class Args>
void find_heads(Emitter& e, const Reg64& token, const HeadsOf& first, const HeadsOf& second) {
  e.note("the token's first head");
  e.imul(first.to, token, 4);
  e.imul(first.to, e.ptr[e.args() + offsetof(Args, token_stride)]);
  e.mov(second.to, first.to);
  e.add(first.to, e.ptr[e.args() + first.matrix]);
  e.add(second.to, e.ptr[e.args() + second.matrix]);
}

}  // namespace llamajit::jit
