// The families of models that GGUF files may hold: what sets each apart from llama is one row of a table.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "jit/kernels/epilogue.h"
#include "jit/kernels/norm.h"
#include "runtime/model/config.h"

namespace llamajit {

enum class Presence : std::uint8_t { none, optional, needed };

struct Family {
  std::string_view name;  // general.architecture, and the prefix of the family's keys
  RopeConfig::Pairs pairs = RopeConfig::Pairs::adjacent;
  jit::NormKind norm = jit::NormKind::rms;
  jit::Epilogue activation = jit::Epilogue::swiglu;  // gated: there is a tensor ffn_gate
  bool may_be_parallel = false;                      // has the key use_parallel_residual
  // All layers but each so many'th attend to a window (attention.sliding_window) of positions, unless the
  // file says which do; 0: none does.
  int window_period = 0;
  float window_rope_theta = 0;  // of their RoPE, unless rope.freq_base_swa says another; 0: the other layers'
  int unrotated_period = 0;     // the heads of every so many'th layer know no positions; 0: all do
  bool fused_qkv = false;       // attn_qkv in the place of attn_q, attn_k and attn_v
  std::string_view ffn_norm = "ffn_norm";  // what files call the norm before the feed-forward
  Presence qkv_bias = Presence::none;
  Presence output_bias = Presence::none;     // of attn_output
  Presence ffn_bias = Presence::none;        // of ffn_up and ffn_down
  Presence head_norms = Presence::none;      // attn_q_norm, attn_k_norm
  Presence sub_norms = Presence::none;       // attn_sub_norm, ffn_sub_norm
  Presence scales = Presence::none;          // "….scale" beside each matrix of a layer
  Presence classifier = Presence::optional;  // output; without it, the classifier is the embedding
};

std::span<const Family> families();

}  // namespace llamajit
