#include "runtime/convert/grid_mixes.h"

#include <algorithm>

namespace llamajit {
namespace {

using jit::FormatKind;

// What llama.cpp gives to which matrix, but for its rules by the number of experts.
struct GridMix {
  std::string_view type;
  FormatKind most, embedding, output;
  FormatKind values, shared_values;  // where four heads or more have the same ones
  FormatKind early_downs, downs;     // of the first eighth of the layers, and the others
  FormatKind attention_output;
  FormatKind queries_and_keys;
  FormatKind middle_gates_and_ups;  // of all layers but the first and the last eighth
  FormatKind fused;                 // queries, keys and values in one
};

GridMix mix_of(std::string_view type, bool weighed, const ModelOutline& model) {
  using enum jit::FormatKind;
  static constexpr GridMix kMixes[] = {
      {"IQ1_S", iq1_s, q2_k, q5_k, q2_k, q4_k, q2_k, iq1_s, iq2_xxs, iq1_s, iq1_s, iq1_s},
      {"IQ1_M", iq1_m, q2_k, q5_k, q2_k, q4_k, q2_k, iq1_m, iq2_xxs, iq1_m, iq1_m, iq1_m},
      {"IQ2_XXS", iq2_xxs, q2_k, q5_k, q2_k, q4_k, q2_k, iq2_xxs, iq2_xxs, iq2_xxs, iq2_xxs, iq2_xxs},
      {"IQ2_XS", iq2_xs, q2_k, q5_k, q2_k, q4_k, q2_k, iq2_xs, iq2_xs, iq2_xs, iq2_xs, iq2_xs},
      {"IQ2_S", iq2_xs, iq3_s, q5_k, iq3_s, q4_k, iq3_s, iq2_xs, iq3_s, iq2_xs, iq2_xs, iq2_xs},
      {"IQ2_M", iq2_s, iq3_s, q5_k, iq3_s, q4_k, iq3_s, iq2_s, iq3_s, iq2_s, iq2_s, iq2_s},
      {"IQ3_XXS", iq3_xxs, iq3_s, q5_k, iq3_s, q4_k, q4_k, q3_k, iq3_s, iq2_s, iq3_xxs, iq3_xxs},
      {"IQ3_XS", iq3_s, iq3_s, q6_k, iq3_s, q4_k, iq3_s, iq3_s, iq3_s, iq3_xxs, iq3_xxs, iq3_s},
      {"IQ3_S", iq3_s, iq3_s, q6_k, iq3_s, q4_k, iq3_s, iq3_s, iq3_s, iq3_s, iq3_s, iq3_s},
      {"IQ3_M", iq3_s, iq3_s, q6_k, q4_k, q4_k, q4_k, iq3_s, q4_k, iq3_s, iq3_s, q4_k},
  };
  GridMix mix = *std::ranges::find(kMixes, type, &GridMix::type);
  if (weighed && type == "IQ3_XXS") mix.values = mix.early_downs = mix.downs = iq3_xxs;
  if (is_llama_70b(model) && type.starts_with("IQ3")) {
    for (FormatKind* const values : {&mix.values, &mix.shared_values}) {
      if (*values == q4_k) *values = q5_k;
    }
  }
  return mix;
}

}  // namespace

FormatKind format_in_grid_mix(std::string_view type, bool weighed, const ModelOutline& model,
                              std::string_view matrix) {
  constexpr int kShared = 4;
  const GridMix mix = mix_of(type, weighed, model);
  const int layer = layer_of(matrix), n = model.n_layers;
  const auto has = [matrix](std::string_view part) { return matrix.find(part) != std::string_view::npos; };
  if (matrix == "output.weight") return mix.output;
  if (matrix == "token_embd.weight") return mix.embedding;
  if (has(".attn_v.weight")) return model.heads_per_kv_head >= kShared ? mix.shared_values : mix.values;
  if (has(".attn_q.weight") || has(".attn_k.weight")) return mix.queries_and_keys;
  if (has(".attn_qkv.weight")) return mix.fused;
  if (has(".attn_output.weight")) return mix.attention_output;
  // Those of experts, too.
  if (has(".ffn_down")) return layer < n / 8 ? mix.early_downs : mix.downs;
  const bool is_middle = layer >= n / 8 && layer < 7 * n / 8;
  if (is_middle && (has(".ffn_gate") || has(".ffn_up"))) return mix.middle_gates_and_ups;
  return mix.most;
}

}  // namespace llamajit
