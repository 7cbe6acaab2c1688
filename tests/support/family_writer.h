// GGUF files of every family with random weights, named as llama.cpp names them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/model/config.h"
#include "tests/support/gguf_writer.h"

namespace llamajit::test {

// A family's files have this and those of others do not; the words are those of the files.
struct FamilyFile {
  std::string_view name;
  bool layer_norm = false;
  bool fused_qkv = false;
  bool qkv_bias = false;
  bool other_biases = false;  // of attn_output, ffn_up and ffn_down
  bool up_bias = true;        // with them
  bool head_norms = false;
  bool sub_norms = false;
  bool scales = false;
  bool gate = true;
  bool parallel = false;
  bool parallel_key = false;  // use_parallel_residual says it
  bool tied = false;          // no output.weight
  bool norm_bias = true;      // with layer_norm
  bool fused_gate_up = false;
  bool classifier_bias = false;
  bool positions = false;
  bool encoder =
      false;  // no output_norm and no output; token_types, and norms of the embedding and behind branches
  bool pre_norm =
      false;  // an encoder with norms as decoders have them, but the first one, and no token_types
  bool sinks = false;
  bool gated_attention = false;
  bool latent = false;  // with these sizes, and head_size that of queries
  int query_rank = 0;
  bool latent_heads = false;  // attn_k_b and attn_v_b in the place of attn_kv_b, with the keys they go with
  bool delta = false;         // all layers but each fourth have a delta net
  bool fused_gates = false, fused_inputs = false;  // ssm_ba and ssm_in
  HeadNorm head_norm = HeadNorm::shared;
  std::string_view att_norm = "attn_norm", ffn_norm = "ffn_norm", other_att_norm = "";
  std::string_view att_post_norm = "", ffn_post_norm = "";
  int window = 0;                // a key of its own
  int window_head = 0;           // the size of heads in layers with a window, where it is another
  int shared_kv = 0;             // last layers that have no keys and values
  bool keys_for_values = false;  // layers without a window have no attn_v
  int layer_inputs = 0;          // values that each layer gets from the token's embedding
  bool layer_scales = false;
  // More keys, all of them floats.
  std::array<std::pair<std::string_view, float>, 4> numbers{};
  int experts = 0, used = 0;  // with a hidden_dim of 48
  int groups = 0, groups_used = 0;
  bool sigmoid = false;  // expert_gating_func says so
  bool choice_bias = false;
  bool expert_biases = false;                 // of the router, too
  bool shared = false, gates_shared = false;  // with a hidden_dim of 80
  bool weights_norm = false;                  // a key of its own
  bool beside = false;                        // of a feed-forward, with norms of their own
  int dense_layers = 0, later_layers = 0;     // before those with experts, and that predict further tokens
};
// Each family once, those with choices more often.
inline constexpr FamilyFile kFamilyFiles[] = {
    {.name = "llama"},
    {.name = "llama", .qkv_bias = true},
    {.name = "qwen2", .qkv_bias = true},
    {.name = "qwen3", .head_norms = true},
    {.name = "internlm2"},
    {.name = "exaone"},
    {.name = "gptneox",
     .layer_norm = true,
     .fused_qkv = true,
     .qkv_bias = true,
     .other_biases = true,
     .gate = false,
     .parallel = true,
     .parallel_key = true},
    {.name = "gptneox",
     .layer_norm = true,
     .fused_qkv = true,
     .qkv_bias = true,
     .other_biases = true,
     .gate = false,
     .parallel_key = true},
    {.name = "ernie4_5"},
    {.name = "seed_oss", .qkv_bias = true, .ffn_norm = "post_attention_norm"},
    {.name = "smollm3"},
    {.name = "starcoder2",
     .layer_norm = true,
     .qkv_bias = true,
     .other_biases = true,
     .gate = false,
     .window = 9},
    {.name = "gemma", .tied = true},
    {.name = "gemma2",
     .tied = true,
     .att_post_norm = "post_attention_norm",
     .ffn_post_norm = "post_ffw_norm",
     .window = 7,
     .numbers = {{{"attn_logit_softcapping", 0.5F}, {"final_logit_softcapping", 2.0F}}}},
    {.name = "gemma3",
     .head_norms = true,
     .tied = true,
     .att_post_norm = "post_attention_norm",
     .ffn_post_norm = "post_ffw_norm",
     .window = 7,
     .numbers = {{{"rope.scaling.factor", 8.0F}}}},
    {.name = "gemma4",
     .head_norms = true,
     .tied = true,
     .att_post_norm = "post_attention_norm",
     .ffn_post_norm = "post_ffw_norm",
     .window = 7,
     .window_head = 16,
     .shared_kv = 2,
     .layer_inputs = 20,
     .layer_scales = true,
     .numbers = {{{"final_logit_softcapping", 2.0F}}}},
    {.name = "gemma4",
     .head_norms = true,
     .tied = true,
     .att_post_norm = "post_attention_norm",
     .ffn_post_norm = "post_ffw_norm",
     .window = 7,
     .window_head = 16,
     .keys_for_values = true,
     .layer_scales = true},
    {.name = "gemma4",
     .head_norms = true,
     .tied = true,
     .att_post_norm = "post_attention_norm",
     .ffn_post_norm = "post_ffw_norm",
     .window = 7,
     .window_head = 16,
     .keys_for_values = true,
     .layer_scales = true,
     .experts = 8,
     .used = 3,
     .beside = true},
    {.name = "phi3", .fused_qkv = true, .fused_gate_up = true, .window = 9},
    {.name = "phi3", .fused_qkv = true, .fused_gate_up = true},
    {.name = "phi2",
     .layer_norm = true,
     .fused_qkv = true,
     .qkv_bias = true,
     .other_biases = true,
     .gate = false,
     .parallel = true,
     .classifier_bias = true,
     .ffn_norm = ""},
    {.name = "mistral3", .numbers = {{{"attention.temperature_scale", 0.4F}}}},
    {.name = "granite",
     .tied = true,
     .numbers = {{{"attention.scale", 0.3F},
                  {"embedding_scale", 3.0F},
                  {"residual_scale", 0.6F},
                  {"logit_scale", 2.0F}}}},
    {.name = "minicpm",
     .numbers = {{{"embedding_scale", 12.0F}, {"residual_scale", 0.7F}, {"logit_scale", 0.5F}}}},
    {.name = "glm4",
     .qkv_bias = true,
     .fused_gate_up = true,
     .att_post_norm = "post_attention_norm",
     .ffn_post_norm = "post_ffw_norm"},
    {.name = "olmo2",
     .head_norms = true,
     .head_norm = HeadNorm::together,
     .att_norm = "",
     .ffn_norm = "",
     .att_post_norm = "post_attention_norm",
     .ffn_post_norm = "post_ffw_norm"},
    {.name = "cohere2",
     .layer_norm = true,
     .parallel = true,
     .tied = true,
     .norm_bias = false,
     .ffn_norm = "",
     .window = 7,
     .numbers = {{{"logit_scale", 0.25F}}}},
    {.name = "command-r",
     .layer_norm = true,
     .head_norms = true,
     .parallel = true,
     .tied = true,
     .norm_bias = false,
     .head_norm = HeadNorm::own,
     .ffn_norm = "",
     .numbers = {{{"logit_scale", 0.25F}}}},
    {.name = "stablelm", .layer_norm = true, .qkv_bias = true, .parallel_key = true},
    {.name = "stablelm",
     .layer_norm = true,
     .head_norms = true,
     .parallel = true,
     .parallel_key = true,
     .head_norm = HeadNorm::own,
     .ffn_norm = ""},
    {.name = "falcon",
     .layer_norm = true,
     .fused_qkv = true,
     .gate = false,
     .parallel = true,
     .ffn_norm = ""},
    {.name = "falcon",
     .layer_norm = true,
     .fused_qkv = true,
     .gate = false,
     .parallel = true,
     .ffn_norm = "",
     .other_att_norm = "attn_norm_2"},
    {.name = "nemotron", .layer_norm = true, .gate = false},
    {.name = "gpt2",
     .layer_norm = true,
     .fused_qkv = true,
     .qkv_bias = true,
     .other_biases = true,
     .gate = false,
     .tied = true,
     .positions = true},
    {.name = "llama", .experts = 8, .used = 2},
    {.name = "qwen2moe", .qkv_bias = true, .experts = 8, .used = 3, .shared = true, .gates_shared = true},
    {.name = "qwen3moe", .head_norms = true, .experts = 20, .used = 3},
    {.name = "granitemoe",
     .tied = true,
     .numbers = {{{"residual_scale", 0.6F}, {"logit_scale", 2.0F}}},
     .experts = 8,
     .used = 3,
     .shared = true},
    {.name = "olmoe", .head_norms = true, .head_norm = HeadNorm::together, .experts = 8, .used = 8},
    {.name = "glm4moe",
     .qkv_bias = true,
     .head_norms = true,
     .ffn_norm = "post_attention_norm",
     .numbers = {{{"expert_weights_scale", 1.5F}}},
     .experts = 8,
     .used = 3,
     .choice_bias = true,
     .shared = true,
     .weights_norm = true,
     .dense_layers = 1,
     .later_layers = 1},
    {.name = "ernie4_5-moe", .experts = 8, .used = 1, .choice_bias = true, .shared = true, .dense_layers = 1},
    {.name = "dots1", .head_norms = true, .experts = 8, .used = 3, .choice_bias = true, .shared = true},
    {.name = "bailingmoe2",
     .fused_qkv = true,
     .head_norms = true,
     .experts = 8,
     .used = 3,
     .choice_bias = true,
     .shared = true,
     .weights_norm = true,
     .dense_layers = 1},
    {.name = "bailingmoe2",
     .fused_qkv = true,
     .head_norms = true,
     .experts = 8,
     .used = 3,
     .groups = 4,
     .groups_used = 2,
     .choice_bias = true,
     .shared = true,
     .weights_norm = true,
     .dense_layers = 1},
    {.name = "minimax-m2",
     .head_norms = true,
     .head_norm = HeadNorm::together,
     .experts = 8,
     .used = 3,
     .choice_bias = true},
    {.name = "gpt-oss",
     .qkv_bias = true,
     .other_biases = true,
     .sinks = true,
     .ffn_norm = "post_attention_norm",
     .window = 7,
     .experts = 8,
     .used = 3,
     .expert_biases = true},
    {.name = "deepseek2",
     .latent = true,
     .experts = 8,
     .used = 3,
     .groups = 4,
     .groups_used = 2,
     .shared = true,
     .dense_layers = 1,
     .later_layers = 1},
    {.name = "deepseek2",
     .latent = true,
     .query_rank = 40,
     .latent_heads = true,
     .numbers = {{{"expert_weights_scale", 2.5F}}},
     .experts = 8,
     .used = 3,
     .groups = 4,
     .groups_used = 2,
     .sigmoid = true,
     .choice_bias = true,
     .shared = true,
     .weights_norm = true,
     .later_layers = 1},
    {.name = "qwen35",
     .head_norms = true,
     .gated_attention = true,
     .delta = true,
     .ffn_norm = "post_attention_norm",
     .later_layers = 1},
    {.name = "qwen35moe",
     .head_norms = true,
     .gated_attention = true,
     .delta = true,
     .ffn_norm = "post_attention_norm",
     .experts = 8,
     .used = 3,
     .shared = true,
     .gates_shared = true,
     .later_layers = 1},
    {.name = "qwen3next",
     .head_norms = true,
     .gated_attention = true,
     .delta = true,
     .fused_gates = true,
     .ffn_norm = "post_attention_norm",
     .experts = 8,
     .used = 3,
     .shared = true,
     .gates_shared = true,
     .later_layers = 1},
    {.name = "qwen3next",
     .head_norms = true,
     .gated_attention = true,
     .delta = true,
     .fused_gates = true,
     .fused_inputs = true,
     .ffn_norm = "post_attention_norm",
     .experts = 8,
     .used = 3,
     .shared = true,
     .gates_shared = true,
     .later_layers = 1},
    {.name = "qwen3vl", .head_norms = true},
    {.name = "bitnet", .sub_norms = true, .tied = true},
    {.name = "bitnet", .sub_norms = true, .scales = true, .tied = true},
    {.name = "bitnet-b1.58", .sub_norms = true},
    {.name = "bitnet-25", .sub_norms = true, .scales = true},
};

// The same of encoders, which predict no token.
inline constexpr FamilyFile kEncoderFiles[] = {
    {.name = "bert",
     .layer_norm = true,
     .qkv_bias = true,
     .other_biases = true,
     .gate = false,
     .tied = true,
     .positions = true,
     .encoder = true,
     .att_norm = "",
     .ffn_norm = ""},
    {.name = "nomic-bert",
     .layer_norm = true,
     .fused_qkv = true,
     .tied = true,
     .encoder = true,
     .att_norm = "",
     .ffn_norm = ""},
    {.name = "jina-bert-v2",
     .layer_norm = true,
     .qkv_bias = true,
     .other_biases = true,
     .up_bias = false,
     .tied = true,
     .encoder = true,
     .att_norm = "",
     .ffn_norm = ""},
    {.name = "modern-bert",
     .layer_norm = true,
     .fused_qkv = true,
     .tied = true,
     .norm_bias = false,
     .fused_gate_up = true,
     .encoder = true,
     .pre_norm = true,
     .window = 8,
     .numbers = {{{"rope.freq_base", 160000}}}},
    {.name = "gemma-embedding",
     .head_norms = true,
     .tied = true,
     .att_post_norm = "post_attention_norm",
     .ffn_post_norm = "post_ffw_norm",
     .window = 9,
     .numbers = {{{"rope.freq_base", 1000000}}}},
};

// Dimensions of a small model of the family: heads whose tails are no whole vectors, and rotated in part.
Config small_config(const FamilyFile& family);

// The bytes of a matrix in a file, from its weights, and the number of their type.
struct MatrixEncoding {
  std::uint32_t type = kF32;
  std::function<std::string(const std::vector<float>&)> encode = [](const std::vector<float>& weights) {
    return encode_tensor(weights, kF32);
  };
  int block = 1;  // rows that are not a multiple of it are F32
};

// A model of the family; `config` gives its dimensions, and where it has layers that differ, arrays of them;
// windows and RoPE bases are left to the caller. The same for the same seed. Layers' matrices have the
// encoding given, everything else is F32.
GgufWriter family_gguf(const FamilyFile& family, const Config& config, std::uint64_t seed,
                       const MatrixEncoding& matrices = {});

}  // namespace llamajit::test
