#include "runtime/model/families.h"

namespace llamajit {
namespace {

using Pairs = RopeConfig::Pairs;

constexpr Family kFamilies[] = {
    // Llama 1 to 3, Mistral, TinyLlama, SmolLM, and whatever else was converted to it.
    {.name = "llama", .qkv_bias = Presence::optional, .output_bias = Presence::optional},
    {.name = "qwen2", .pairs = Pairs::halves, .qkv_bias = Presence::needed},
    {.name = "qwen3", .pairs = Pairs::halves, .head_norms = Presence::needed},
    {.name = "ernie4_5"},
    {.name = "seed_oss",
     .pairs = Pairs::halves,
     .ffn_norm = "post_attention_norm",
     .qkv_bias = Presence::needed},
    // No key of its files says which layers know no positions.
    {.name = "smollm3", .unrotated_period = 4},
    {.name = "starcoder2",
     .pairs = Pairs::halves,
     .norm = jit::NormKind::layer,
     .activation = jit::Epilogue::gelu,
     .qkv_bias = Presence::needed,
     .output_bias = Presence::needed,
     .ffn_bias = Presence::needed},
    // InternLM 2 and 2.5; InternLM 3 is converted to llama.
    {.name = "internlm2", .classifier = Presence::needed},
    // EXAONE 3 and 3.5; EXAONE 4 is a family of its own, with other norms.
    {.name = "exaone", .pairs = Pairs::halves},
    // Pythia, KoAlpaca-Polyglot.
    {.name = "gptneox",
     .pairs = Pairs::halves,
     .norm = jit::NormKind::layer,
     .activation = jit::Epilogue::gelu,
     .may_be_parallel = true,
     .fused_qkv = true,
     .qkv_bias = Presence::needed,
     .output_bias = Presence::needed,
     .ffn_bias = Presence::needed,
     .classifier = Presence::needed},
    {.name = "bitnet",
     .pairs = Pairs::halves,
     .sub_norms = Presence::needed,
     .scales = Presence::optional,
     .classifier = Presence::none},
    // The 2B4T model, as Microsoft's converter writes it and as ik_llama.cpp's does.
    {.name = "bitnet-b1.58",
     .pairs = Pairs::halves,
     .activation = jit::Epilogue::relu2glu,
     .sub_norms = Presence::needed,
     .scales = Presence::optional},
    {.name = "bitnet-25",
     .pairs = Pairs::halves,
     .activation = jit::Epilogue::relu2glu,
     .sub_norms = Presence::needed,
     .scales = Presence::optional},
};

}  // namespace

std::span<const Family> families() {
  return kFamilies;
}

}  // namespace llamajit
