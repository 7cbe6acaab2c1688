// GGUF files of every family with random weights, named as llama.cpp names them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/gguf_writer.h"

namespace llamajit::test {

// A family's files have this and those of others do not; the words are those of the files.
struct FamilyFile {
  std::string_view name;
  bool layer_norm = false;
  bool fused_qkv = false;
  bool qkv_bias = false;
  bool other_biases = false;  // of attn_output, ffn_up and ffn_down
  bool head_norms = false;
  bool sub_norms = false;
  bool scales = false;
  bool gate = true;
  bool parallel = false;
  std::string_view ffn_norm = "ffn_norm";
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
     .parallel = true},
    {.name = "gptneox",
     .layer_norm = true,
     .fused_qkv = true,
     .qkv_bias = true,
     .other_biases = true,
     .gate = false},
    {.name = "ernie4_5"},
    {.name = "seed_oss", .qkv_bias = true, .ffn_norm = "post_attention_norm"},
    {.name = "smollm3"},
    {.name = "starcoder2", .layer_norm = true, .qkv_bias = true, .other_biases = true, .gate = false},
    {.name = "bitnet", .sub_norms = true},
    {.name = "bitnet", .sub_norms = true, .scales = true},
    {.name = "bitnet-b1.58", .sub_norms = true},
    {.name = "bitnet-25", .sub_norms = true, .scales = true},
};

// The bytes of a matrix in a file, from its weights, and the number of their type.
struct MatrixEncoding {
  std::uint32_t type = kF32;
  std::function<std::string(const std::vector<float>&)> encode = [](const std::vector<float>& weights) {
    return encode_tensor(weights, kF32);
  };
};

// A model of the family; `config` gives its dimensions, and where it has layers that differ, arrays of them;
// windows and RoPE bases are left to the caller. The same for the same seed. Layers' matrices have the
// encoding given, everything else is F32.
GgufWriter family_gguf(const FamilyFile& family, const Config& config, std::uint64_t seed,
                       const MatrixEncoding& matrices = {});

}  // namespace llamajit::test
