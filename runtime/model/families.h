// The families of models that GGUF files may hold: what sets each apart from llama is one row of a table.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "jit/kernels/epilogue.h"
#include "jit/kernels/norm.h"
#include "jit/kernels/route.h"
#include "runtime/model/config.h"

namespace llamajit {

enum class Presence : std::uint8_t { none, optional, needed };

// Whether attention and feed-forward both start from the layer's input.
enum class Parallel : std::uint8_t {
  no,
  by_key,  // as use_parallel_residual says
  always,
};

// What the key logit_scale does to logits.
enum class LogitScale : std::uint8_t { none, multiplies, divides };

// Where a family has experts, and what its files leave unsaid about them.
struct FamilyExperts {
  Presence presence = Presence::none;         // optional: where expert_count says so
  jit::Gating gating = jit::Gating::softmax;  // unless expert_gating_func says another
  bool renormalises = false;                  // unless expert_weights_norm says
  Presence choice_bias = Presence::none;      // exp_probs_b
  Presence shared = Presence::none;           // ffn_…_shexp
  bool gates_shared = false;                  // ffn_gate_inp_shexp
  bool biases = false;                        // of ffn_gate_inp and of ffn_…_exps
  bool beside = false;                        // LayerShape::norms_experts, and ffn_gate_up_exps
};

// How files of a family with a delta net lay it out; its keys begin with "ssm.".
struct FamilyDelta {
  // Every so many'th layer has attention, unless the key full_attention_interval says another number; 0: all.
  int attention_period = 0;
  bool adjacent = false;     // as DeltaNet has it
  bool fused_gates = false;  // ssm_ba in the place of ssm_beta and ssm_alpha
};

// A period that no number of a layer reaches.
inline constexpr int kNoLayer = std::numeric_limits<int>::max();

struct Family {
  std::string_view name;  // general.architecture, and the prefix of the family's keys
  RopeConfig::Pairs pairs = RopeConfig::Pairs::adjacent;
  jit::NormKind norm = jit::NormKind::rms;
  jit::Epilogue activation = jit::Epilogue::swiglu;  // gated: there is a tensor ffn_gate
  Parallel parallel = Parallel::no;
  // All layers but each so many'th attend to a window (attention.sliding_window) of positions, unless the
  // file says which do; 0: none does, kNoLayer: all do.
  int window_period = 0;
  bool opens_periods = false;  // the first of so many layers is the one without a window, not the last
  // Of their RoPE, which is not scaled then, unless rope.freq_base_swa says another; 0: the other layers'.
  float window_rope_theta = 0;
  int unrotated_period = 0;    // the heads of every so many'th layer know no positions; 0: all do
  bool fused_qkv = false;      // attn_qkv in the place of attn_q, attn_k and attn_v
  bool fused_gate_up = false;  // ffn_up has the rows of gate, then those of up
  // What files call the norms before attention and feed-forward, and those of what they add to the stream;
  // "": there is none.
  std::string_view att_norm = "attn_norm";
  std::string_view ffn_norm = "ffn_norm";
  std::string_view att_post_norm{};
  std::string_view ffn_post_norm{};
  // Those of the stream itself: of the embedding, behind attention and behind the layer. Where there is a final
  // norm, it stands before the classifier.
  std::string_view embedding_norm{};
  std::string_view att_output_norm{};
  std::string_view layer_output_norm{};
  std::string_view final_norm = "output_norm";
  // Where a layer has this norm, it is attention's, and att_norm is the feed-forward's.
  std::string_view other_att_norm{};
  bool first_att_norm = true;  // false: what the first layer gets is normed already
  Presence has_ffn_norm = Presence::needed;
  Presence norm_bias = Presence::needed;  // LayerNorm only
  Presence qkv_bias = Presence::none;
  Presence output_bias = Presence::none;  // of attn_output
  Presence ffn_bias = Presence::none;     // of ffn_up and ffn_down
  bool up_bias = true;                    // false: of ffn_down alone
  Presence head_norms = Presence::none;   // attn_q_norm, attn_k_norm
  HeadNorm head_norm = HeadNorm::shared;
  Presence sinks = Presence::none;      // attn_sinks
  bool slopes = false;                  // as LayerShape has it
  Presence sub_norms = Presence::none;  // attn_sub_norm, ffn_sub_norm
  // "….scale" beside each matrix of a layer: BitNet's have it, and in any family matrices in NVFP4
  Presence scales = Presence::optional;
  Presence classifier = Presence::optional;   // output; without it, the classifier is the embedding
  Presence classifier_bias = Presence::none;  // output.bias
  Presence positions = Presence::none;        // position_embd
  bool token_types = false;                   // the first row of token_types is added to the embedding
  bool causal = true;                         // unless the key attention.causal says another
  bool activation_key = false;                // hidden_activation: "silu" in the place of GELU, behind a gate
  Presence stream_scales = Presence::none;    // the keys embedding_scale, residual_scale and attention.scale
  Presence soft_caps = Presence::none;        // the keys attn_ and final_logit_softcapping
  LogitScale logit_scale = LogitScale::none;  // whose key is needed
  bool root_embedding = false;                // embeddings are multiplied by sqrt(embedding_length)
  FamilyExperts experts{};
  FamilyDelta delta{};
  bool latent = false;           // LayerShape::latent, as kv_lora_rank and further keys say
  bool gated_attention = false;  // attn_q has each head's gates behind its queries
  float scores_scale = 0;        // instead of 1 / sqrt(a head's size); 0: that
  bool norms_values = false;     // as LayerShape has it
  bool layer_inputs = false;     // as the key embedding_length_per_layer_input says
  bool shares_kv = false;        // as the key attention.shared_kv_layers says
  bool scales_layers = false;    // layer_output_scale
  bool keys_for_values = false;  // layers without attn_v have attn_k in its place
  bool divides_all = true;       // rope_freqs is of layers without a window only, where not
  // The first of the layers that nextn_predict_layers counts is one with attention as the others, behind the nextn tensors.
  bool drafts = false;
  // With so many layers scores are multiplied by 1 / sqrt(embedding_length / head_count): no key says it.
  int wide_scores_layers = 0;
};

std::span<const Family> families();

}  // namespace llamajit
