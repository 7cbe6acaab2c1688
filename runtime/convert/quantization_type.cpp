#include "runtime/convert/quantization_type.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/convert/grid_mixes.h"

namespace llamajit {
namespace {

using jit::FormatKind;

constexpr QuantizationType kTypes[] = {
    {"F32", FormatKind::f32, Mix::none, 0},
    {"F16", FormatKind::f16, Mix::none, 1},
    {"BF16", FormatKind::bf16, Mix::none, 32},
    {"Q8_0", FormatKind::q8_0, Mix::none, 7},
    {"Q4_0", FormatKind::q4_0, Mix::none, 2},
    {"Q4_1", FormatKind::q4_1, Mix::none, 3},
    {"Q5_0", FormatKind::q5_0, Mix::none, 8},
    {"Q5_1", FormatKind::q5_1, Mix::none, 9},
    {"Q2_K", FormatKind::q2_k, Mix::q2_k, 10},
    {"Q3_K_S", FormatKind::q3_k, Mix::none, 11},
    {"Q3_K_M", FormatKind::q3_k, Mix::q3_k_m, 12},
    {"Q3_K_L", FormatKind::q3_k, Mix::q3_k_l, 13},
    {"Q4_K_S", FormatKind::q4_k, Mix::q4_k_s, 14},
    {"Q4_K_M", FormatKind::q4_k, Mix::q4_k_m, 15},
    {"Q5_K_S", FormatKind::q5_k, Mix::none, 16},
    {"Q5_K_M", FormatKind::q5_k, Mix::q5_k_m, 17},
    {"Q6_K", FormatKind::q6_k, Mix::none, 18},
    {"IQ1_S", FormatKind::iq1_s, Mix::grids, 24},
    {"IQ1_M", FormatKind::iq1_m, Mix::grids, 31},
    {"IQ2_XXS", FormatKind::iq2_xxs, Mix::grids, 19},
    {"IQ2_XS", FormatKind::iq2_xs, Mix::grids, 20},
    {"IQ2_S", FormatKind::iq2_s, Mix::grids, 28},
    {"IQ2_M", FormatKind::iq2_s, Mix::grids, 29},
    {"IQ3_XXS", FormatKind::iq3_xxs, Mix::grids, 23},
    {"IQ3_XS", FormatKind::iq3_s, Mix::grids, 22},
    {"IQ3_S", FormatKind::iq3_s, Mix::grids, 26},
    {"IQ3_M", FormatKind::iq3_s, Mix::grids, 27},
    {"IQ4_NL", FormatKind::iq4_nl, Mix::none, 25},
    {"IQ4_XS", FormatKind::iq4_xs, Mix::none, 30},
    {"TQ1_0", FormatKind::tq1_0, Mix::none, 36},
    {"TQ2_0", FormatKind::tq2_0, Mix::none, 37},
    {"IQ2_K", FormatKind::iq2_k, Mix::none, 138},
    {"IQ3_K", FormatKind::iq3_k, Mix::none, 139},
    {"IQ4_K", FormatKind::iq4_k, Mix::none, 140},
    {"IQ5_K", FormatKind::iq5_k, Mix::none, 141},
    {"IQ6_K", FormatKind::iq6_k, Mix::none, 142},
    {"IQ2_KS", FormatKind::iq2_ks, Mix::none, 147},
    {"IQ3_KS", FormatKind::iq3_ks, Mix::none, 154},
    {"IQ4_KS", FormatKind::iq4_ks, Mix::none, 145},
    {"IQ4_KSS", FormatKind::iq4_kss, Mix::none, 148},
    {"IQ5_KS", FormatKind::iq5_ks, Mix::none, 150},
    {"Q1_0", FormatKind::q1_0, Mix::none, 40},
    {"Q2_0", FormatKind::q2_0, Mix::none, 41},
    {"MXFP4", FormatKind::mxfp4, Mix::none, 38},
    {"NVFP4", FormatKind::nvfp4, Mix::none, 39},
    {"I2_S", FormatKind::i2_s, Mix::none, 40},  // as BitNet's fork numbers it
    // Short for the medium mixes.
    {"Q3_K", FormatKind::q3_k, Mix::q3_k_m, 12},
    {"Q4_K", FormatKind::q4_k, Mix::q4_k_m, 15},
    {"Q5_K", FormatKind::q5_k, Mix::q5_k_m, 17},
};

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return result;
}

// The first and the last eighth of the layers, and every third between them.
bool deserves_more_bits(int layer, int n_layers) {
  return layer < n_layers / 8 || layer >= 7 * n_layers / 8 || (layer - n_layers / 8) % 3 == 2;
}

FormatKind for_values(const QuantizationType& type, const ModelOutline& model, int layer) {
  const bool shared = model.heads_per_kv_head >= 4;  // few values, many users
  FormatKind kind = type.kind;
  switch (type.mix) {
    case Mix::q2_k:
      kind = shared ? FormatKind::q4_k : FormatKind::q3_k;
      break;
    case Mix::q3_k_m:
      kind = layer < 2 ? FormatKind::q5_k : FormatKind::q4_k;
      break;
    case Mix::q3_k_l:
      kind = FormatKind::q5_k;
      break;
    case Mix::q4_k_s:
      if (layer < 4) kind = FormatKind::q5_k;
      break;
    case Mix::q4_k_m:
    case Mix::q5_k_m:
      if (deserves_more_bits(layer, model.n_layers)) kind = FormatKind::q6_k;
      break;
    case Mix::grids:
    case Mix::none:
      if (shared && (kind == FormatKind::iq4_nl || kind == FormatKind::iq4_xs)) kind = FormatKind::q5_k;
      break;
  }
  if (is_llama_70b(model) && (kind == FormatKind::q3_k || kind == FormatKind::q4_k)) kind = FormatKind::q5_k;
  return kind;
}

FormatKind for_down(const QuantizationType& type, bool weighed, const ModelOutline& model, int layer) {
  const int n = model.n_layers;
  switch (type.mix) {
    case Mix::q2_k:
      return FormatKind::q3_k;
    case Mix::q3_k_m:
      return layer < n / 16 ? FormatKind::q5_k : FormatKind::q4_k;
    case Mix::q3_k_l:
      return FormatKind::q5_k;
    case Mix::q4_k_s:
      return layer < n / 8 ? FormatKind::q5_k : type.kind;
    case Mix::q4_k_m:
    case Mix::q5_k_m:
      return deserves_more_bits(layer, n) ? FormatKind::q6_k : type.kind;
    case Mix::grids:
    case Mix::none:
      break;
  }
  if (layer >= n / 8) return type.kind;
  switch (type.kind) {
    case FormatKind::iq4_nl:
    case FormatKind::iq4_xs:
      return weighed ? type.kind : FormatKind::q5_k;
    case FormatKind::q4_0:
      return weighed ? FormatKind::q4_1 : type.kind;
    case FormatKind::q5_0:
      return weighed ? FormatKind::q5_1 : type.kind;
    default:
      return type.kind;
  }
}

FormatKind for_attention_output(const QuantizationType& type) {
  switch (type.mix) {
    case Mix::q2_k:
      return FormatKind::q3_k;
    case Mix::q3_k_m:
      return FormatKind::q4_k;
    case Mix::q3_k_l:
      return FormatKind::q5_k;
    default:
      return type.kind;
  }
}

// Rows of another length than 256s, 128s or 64s; what has more bits where there is a choice.
FormatKind fallback_of(FormatKind kind) {
  switch (kind) {
    case FormatKind::q4_k:
      return FormatKind::q5_0;
    case FormatKind::q5_k:
    case FormatKind::iq5_k:
    case FormatKind::iq5_ks:
      return FormatKind::q5_1;
    case FormatKind::q6_k:
    case FormatKind::iq6_k:
      return FormatKind::q8_0;
    case FormatKind::iq2_k:
    case FormatKind::iq3_k:
    case FormatKind::iq4_k:
    case FormatKind::iq2_ks:
    case FormatKind::iq3_ks:
    case FormatKind::iq4_ks:
    case FormatKind::iq4_kss:
    case FormatKind::iq4_xs:
    case FormatKind::iq1_s:
    case FormatKind::iq1_m:
    case FormatKind::iq2_xxs:
    case FormatKind::iq2_xs:
    case FormatKind::iq2_s:
    case FormatKind::iq3_xxs:
    case FormatKind::iq3_s:
      return FormatKind::iq4_nl;
    default:
      return FormatKind::q4_0;
  }
}

bool fits(FormatKind kind, std::int64_t cols) {
  const jit::FormatTraits* const traits = jit::format_traits(kind);
  return traits == nullptr || cols % (traits->group * traits->interleaved) == 0;
}

FormatChoice fitting(FormatKind wanted, std::int64_t cols) {
  if (fits(wanted, cols)) return {wanted};
  const FormatKind fallback = fallback_of(wanted);
  return {fits(fallback, cols) ? fallback : FormatKind::f16, wanted};
}

FormatKind wanted_format(const QuantizationChoices& choices, const ModelOutline& model,
                         std::string_view name) {
  if (const auto given = given_format(choices, model, name)) return *given;
  const QuantizationType& type = *choices.type;
  const bool is_embedding = name == "token_embd.weight", is_output = name == "output.weight";
  const bool plain = jit::format_traits(type.kind) == nullptr;
  if (choices.pure || plain) return type.kind;
  if (type.mix == Mix::grids) {
    return format_in_grid_mix(type.name, choices.weighed, model,
                              is_embedding && !model.has_output ? "output.weight" : name);
  }
  if (is_output || (is_embedding && !model.has_output)) {
    return type.kind == FormatKind::q8_0 ? type.kind : FormatKind::q6_k;
  }
  if (is_embedding) {
    constexpr FormatKind kFew[] = {FormatKind::tq1_0, FormatKind::tq2_0, FormatKind::q2_0,
                                   FormatKind::i2_s,  FormatKind::iq2_k, FormatKind::iq2_ks};
    return std::ranges::count(kFew, type.kind) > 0 ? FormatKind::q4_k : type.kind;
  }
  const int layer = layer_of(name);
  if (name.ends_with(".attn_v.weight") || name.ends_with(".attn_qkv.weight"))
    return for_values(type, model, layer);
  // Those of experts, too.
  if (name.find(".ffn_down") != std::string_view::npos) return for_down(type, choices.weighed, model, layer);
  if (name.ends_with(".attn_output.weight")) return for_attention_output(type);
  return type.kind;
}

}  // namespace

int layer_of(std::string_view name) {
  constexpr std::string_view kPrefix = "blk.";
  int layer = -1;
  if (name.starts_with(kPrefix)) {
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), layer);
  }
  return layer;
}

bool is_llama_70b(const ModelOutline& model) {
  return model.n_layers == 80 && model.heads_per_kv_head > 1;
}

bool wants_importance(const QuantizationType& type) {
  constexpr FormatKind kKinds[] = {FormatKind::iq1_s,  FormatKind::iq1_m, FormatKind::iq2_xxs,
                                   FormatKind::iq2_xs, FormatKind::iq2_s, FormatKind::iq3_xxs};
  return std::ranges::count(kKinds, type.kind) > 0;
}

const QuantizationType* find_quantization_type(std::string_view name) {
  const auto* const found = std::ranges::find(kTypes, upper(name), &QuantizationType::name);
  return found == std::end(kTypes) ? nullptr : found;
}

std::optional<FormatKind> find_format(std::string_view name) {
  for (const QuantizationType& type : kTypes) {
    if (upper(name) == ggml_name(type.kind)) return type.kind;
  }
  return std::nullopt;
}

std::string quantization_type_names() {
  std::vector<std::string_view> names;
  for (const QuantizationType& type : kTypes) names.push_back(type.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string format_names() {
  std::vector<std::string_view> names;
  for (const QuantizationType& type : kTypes) {
    if (std::ranges::count(names, ggml_name(type.kind)) == 0) names.push_back(ggml_name(type.kind));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

std::optional<FormatKind> given_format(const QuantizationChoices& choices, const ModelOutline& model,
                                       std::string_view name) {
  if (const auto own = choices.by_name.find(name); own != choices.by_name.end()) return own->second;
  const bool is_embedding = name == "token_embd.weight", is_output = name == "output.weight";
  if (is_embedding && choices.embedding) return choices.embedding;
  if (is_output || (is_embedding && !model.has_output)) return choices.output;
  return std::nullopt;
}

FormatChoice choose_format(const QuantizationChoices& choices, const ModelOutline& model,
                           const MatrixOutline& matrix) {
  return fitting(wanted_format(choices, model, matrix.name), matrix.cols);
}

bool is_quantized(std::string_view name, int n_dims) {
  constexpr std::string_view kKept[] = {"_norm.weight",       "ffn_gate_inp.weight", "position_embd.weight",
                                        "token_types.weight", "rope_freqs.weight",   "ssm_conv1d.weight"};
  if (n_dims < 2 || !name.ends_with("weight")) return false;
  return std::ranges::none_of(kKept, [&](std::string_view kept) { return name.ends_with(kept); });
}

}  // namespace llamajit
