#include "tests/support/family_writer.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <fmt/format.h>

#include "tests/support/toy_model.h"

namespace llamajit::test {
namespace {

class FamilyWriter {
 public:
  FamilyWriter(const FamilyFile& family, const Config& config, std::uint64_t seed,
               const MatrixEncoding& matrices)
      : f_(family), c_(config), random_(seed), matrices_(matrices) {}

  GgufWriter write() {
    write_keys();
    tensor("token_embd.weight", c_.vocab_size, c_.dim, {});
    if (f_.positions) tensor("position_embd.weight", c_.seq_len, c_.dim, {});
    if (f_.encoder) {
      if (!f_.pre_norm) tensor("token_types.weight", kTokenTypes, c_.dim, {});
      norm("token_embd_norm", c_.dim, norm_bias());
    }
    if (f_.layer_inputs > 0) {
      tensor("per_layer_token_embd.weight", c_.vocab_size, f_.layer_inputs * c_.n_layers, {});
      matrix("per_layer_model_proj", f_.layer_inputs * c_.n_layers, c_.dim, false);
      norm("per_layer_proj_norm", f_.layer_inputs, false);
    }
    for (int i = 0; i < c_.n_layers + f_.later_layers; ++i) {
      owns_kv_ = i < c_.n_layers - f_.shared_kv || i >= c_.n_layers;
      prefix_ = fmt::format("blk.{}.", i);
      shape_ = &c_.layer(static_cast<std::size_t>(std::min(i, c_.n_layers - 1)));
      for (const std::string_view name : {f_.att_norm, f_.other_att_norm, f_.att_post_norm}) {
        const bool left_out = f_.pre_norm && i == 0;
        if (!name.empty() && !left_out) norm(name, c_.dim, norm_bias());
      }
      f_.delta && (i + 1) % 4 != 0 && i < c_.n_layers ? write_delta() : write_attention();
      f_.experts > 0 && i >= f_.dense_layers ? write_experts() : write_feed_forward();
      for (const std::string_view name : {"attn_output_norm", "layer_output_norm"}) {
        if (f_.encoder && !f_.pre_norm) norm(name, c_.dim, norm_bias());
      }
      if (f_.layer_scales) vector("layer_output_scale.weight", 1, 0.8F, 0.2F);
      if (f_.layer_inputs == 0) continue;
      matrix("inp_gate", f_.layer_inputs, c_.dim, false);
      matrix("proj", c_.dim, f_.layer_inputs, false);
      norm("post_norm", c_.dim, false);
    }
    prefix_.clear();
    if (!f_.encoder || f_.pre_norm) norm("output_norm", c_.dim, norm_bias());
    if (f_.classifier_bias) vector("output.bias", c_.vocab_size, 0.0F, 0.5F);
    if (!c_.shared_classifier) tensor("output.weight", c_.vocab_size, c_.dim, {});
    for (int i = 0; i < f_.later_layers; ++i) {
      prefix_ = fmt::format("blk.{}.", c_.n_layers + i);
      for (const std::string_view name : {"nextn.enorm", "nextn.hnorm", "nextn.shared_head_norm"}) {
        norm(name, c_.dim, false);
      }
      tensor("nextn.eh_proj.weight", c_.dim, 2 * c_.dim, matrices_);
    }
    return writer_;
  }

 private:
  void write_keys() {
    const auto key = [&](std::string_view name) { return fmt::format("{}.{}", f_.name, name); };
    writer_.add("general.architecture", f_.name);
    writer_.add(key("context_length"), c_.seq_len);
    writer_.add(key("embedding_length"), c_.dim);
    writer_.add(key("block_count"), c_.n_layers + f_.later_layers);
    if (f_.later_layers > 0) writer_.add(key("nextn_predict_layers"), f_.later_layers);
    if (f_.experts > 0) write_expert_keys();
    counts(key("feed_forward_length"), &LayerShape::hidden_dim);
    counts(key("attention.head_count"), &LayerShape::n_heads);
    if (f_.latent) {
      write_latent_keys();
    } else {
      counts(key("attention.head_count_kv"), &LayerShape::n_kv_heads);
    }
    if (c_.layers.empty() && !f_.latent) {
      writer_.add(key("attention.key_length"), c_.head_dim());
      writer_.add(key("attention.value_length"), c_.head_dim());
      writer_.add(key("rope.dimension_count"), c_.rotated_dims());
    }
    writer_.add(key(f_.layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"),
                c_.norm_eps);
    if (f_.encoder) {
      writer_.add(key("attention.causal"), false);
      if (!f_.pre_norm) writer_.add("tokenizer.ggml.token_type_count", kTokenTypes);
    }
    if (f_.delta) write_delta_keys();
    if (f_.parallel_key) writer_.add(key("use_parallel_residual"), f_.parallel);
    if (f_.window > 0) writer_.add(key("attention.sliding_window"), f_.window);
    if (f_.window_head > 0) write_window_heads();
    if (f_.shared_kv > 0) writer_.add(key("attention.shared_kv_layers"), f_.shared_kv);
    if (f_.layer_inputs > 0) writer_.add(key("embedding_length_per_layer_input"), f_.layer_inputs);
    for (const auto& [name, number] : f_.numbers) {
      if (!name.empty()) writer_.add(key(name), number);
    }
  }
  void write_latent_keys() {
    const auto add = [&](std::string_view name, int number) {
      writer_.add(fmt::format("{}.{}", f_.name, name), number);
    };
    add("rope.dimension_count", c_.rope.dims);
    add("attention.kv_lora_rank", kRank);
    if (f_.query_rank > 0) add("attention.q_lora_rank", f_.query_rank);
    add("attention.head_count_kv", f_.latent_heads ? 1 : c_.n_heads);
    add("attention.key_length", f_.latent_heads ? kRank + c_.rope.dims : c_.head_dim());
    add("attention.value_length", f_.latent_heads ? kRank : kValueSize);
    if (!f_.latent_heads) return;
    add("attention.key_length_mla", c_.head_dim());
    add("attention.value_length_mla", kValueSize);
  }
  void write_latent() {
    const int heads = c_.n_heads, key = c_.head_dim() - c_.rope.dims;
    if (f_.query_rank > 0) {
      matrix("attn_q_a", f_.query_rank, c_.dim, false);
      norm("attn_q_a_norm", f_.query_rank, false);
      matrix("attn_q_b", c_.q_dim(), f_.query_rank, false);
    } else {
      matrix("attn_q", c_.q_dim(), c_.dim, false);
    }
    matrix("attn_kv_a_mqa", kRank + c_.rope.dims, c_.dim, false);
    norm("attn_kv_a_norm", kRank, false);
    if (f_.latent_heads) {
      copies("attn_k_b", heads, kRank, key);
      copies("attn_v_b", heads, kValueSize, kRank);
    } else {
      matrix("attn_kv_b", heads * (key + kValueSize), kRank, false);
    }
    matrix("attn_output", c_.dim, heads * kValueSize, false);
  }
  void write_window_heads() {
    const std::pair<std::string_view, int> numbers[] = {
        {"attention.key_length", c_.head_dim()},        {"attention.value_length", c_.head_dim()},
        {"rope.dimension_count", c_.rotated_dims()},    {"attention.key_length_swa", f_.window_head},
        {"attention.value_length_swa", f_.window_head}, {"rope.dimension_count_swa", f_.window_head}};
    for (const auto& [name, number] : numbers) writer_.add(fmt::format("{}.{}", f_.name, name), number);
  }
  void write_delta_keys() {
    const std::pair<std::string_view, int> numbers[] = {{"ssm.conv_kernel", kTaps},
                                                        {"ssm.state_size", kStateSize},
                                                        {"ssm.group_count", kKeyHeads},
                                                        {"ssm.time_step_rank", kValueHeads},
                                                        {"ssm.inner_size", kValueHeads * kStateSize}};
    for (const auto& [name, number] : numbers) writer_.add(fmt::format("{}.{}", f_.name, name), number);
  }
  bool norm_bias() const { return f_.layer_norm && f_.norm_bias; }

  void write_expert_keys() {
    const auto key = [&](std::string_view name) { return fmt::format("{}.{}", f_.name, name); };
    writer_.add(key("expert_count"), f_.experts);
    writer_.add(key("expert_used_count"), f_.used);
    writer_.add(key("expert_feed_forward_length"), kExpertHidden);
    if (f_.shared) writer_.add(key("expert_shared_feed_forward_length"), kSharedHidden);
    if (f_.groups > 0) {
      writer_.add(key("expert_group_count"), f_.groups);
      writer_.add(key("expert_group_used_count"), f_.groups_used);
    }
    if (f_.sigmoid) writer_.add(key("expert_gating_func"), 2);
    if (f_.weights_norm) writer_.add(key("expert_weights_norm"), true);
    if (f_.dense_layers > 0) writer_.add(key("leading_dense_block_count"), f_.dense_layers);
  }

  void write_experts() {
    norm(f_.ffn_norm, c_.dim, false);
    matrix("ffn_gate_inp", f_.experts, c_.dim, f_.expert_biases);
    if (f_.choice_bias) vector("exp_probs_b.bias", f_.experts, 0.0F, 0.3F);
    if (f_.beside) return write_experts_beside();
    experts("ffn_gate_exps", kExpertHidden, c_.dim);
    experts("ffn_up_exps", kExpertHidden, c_.dim);
    experts("ffn_down_exps", c_.dim, kExpertHidden);
    if (!f_.shared) return;
    if (f_.gates_shared) vector("ffn_gate_inp_shexp.weight", c_.dim, 0.0F, 0.3F);
    matrix("ffn_gate_shexp", kSharedHidden, c_.dim, false);
    matrix("ffn_up_shexp", kSharedHidden, c_.dim, false);
    matrix("ffn_down_shexp", c_.dim, kSharedHidden, false);
  }
  void write_experts_beside() {
    experts("ffn_gate_up_exps", 2 * kExpertHidden, c_.dim);
    experts("ffn_down_exps", c_.dim, kExpertHidden);
    vector("ffn_gate_inp.scale", c_.dim, 6.0F, 2.0F);
    vector("ffn_down_exps.scale", f_.experts, 1.0F, 0.5F);
    for (const std::string_view name : {"pre_ffw_norm_2", "post_ffw_norm_1", "post_ffw_norm_2"}) {
      norm(name, c_.dim, false);
    }
    norm(f_.ffn_post_norm, c_.dim, false);
    matrix("ffn_gate", shape_->hidden_dim, c_.dim, false);
    matrix("ffn_up", shape_->hidden_dim, c_.dim, false);
    matrix("ffn_down", c_.dim, shape_->hidden_dim, false);
  }
  void copies(std::string_view name, int n, int rows, int cols) {
    const auto u64 = [](int x) { return static_cast<std::uint64_t>(x); };
    const float reach = std::sqrt(3.0F / static_cast<float>(cols));
    const MatrixEncoding& encoding = fitting(matrices_, cols);
    writer_.add_tensor(fmt::format("{}{}.weight", prefix_, name), {u64(cols), u64(rows), u64(n)},
                       encoding.type, encoding.encode(uniform(n * rows * cols, 0, reach)));
  }
  void experts(std::string_view name, int rows, int cols) {
    copies(name, f_.experts, rows, cols);
    if (!f_.expert_biases) return;
    const auto u64 = [](int n) { return static_cast<std::uint64_t>(n); };
    writer_.add_tensor(fmt::format("{}{}.bias", prefix_, name), {u64(rows), u64(f_.experts)}, kF32,
                       encode_tensor(uniform(f_.experts * rows, 0, 0.5F), kF32));
  }

  // One number for all layers, or an array where they differ.
  void counts(const std::string& key, int LayerShape::*number) {
    if (c_.layers.empty()) return writer_.add(key, c_.*number);
    std::vector<std::int32_t> numbers;
    for (const LayerShape& layer : c_.layers) numbers.push_back(layer.*number);
    writer_.add(key, numbers);
  }

  void write_delta() {
    const int keys = kKeyHeads * kStateSize, values = kValueHeads * kStateSize;
    if (f_.fused_inputs) {
      matrix("ssm_in", 2 * keys + 2 * values, c_.dim, false);
    } else {
      matrix("attn_qkv", 2 * keys + values, c_.dim, false);
      matrix("attn_gate", values, c_.dim, false);
    }
    if (f_.fused_gates) {
      matrix("ssm_ba", 2 * kValueHeads, c_.dim, false);
    } else {
      matrix("ssm_alpha", kValueHeads, c_.dim, false);
      matrix("ssm_beta", kValueHeads, c_.dim, false);
    }
    tensor("ssm_conv1d.weight", 2 * keys + values, kTaps, {});
    vector("ssm_dt.bias", kValueHeads, 0.0F, 1.0F);
    vector("ssm_a", kValueHeads, -0.5F, 0.4F);
    norm("ssm_norm", kStateSize, false);
    matrix("ssm_out", c_.dim, values, false);
  }

  void write_attention() {
    if (f_.latent) return write_latent();
    if (f_.fused_qkv) {
      matrix("attn_qkv", shape_->q_dim() + 2 * shape_->kv_dim(), c_.dim, f_.qkv_bias);
    } else {
      matrix("attn_q", (f_.gated_attention ? 2 : 1) * shape_->q_dim(), c_.dim, f_.qkv_bias);
      if (owns_kv_) matrix("attn_k", shape_->kv_dim(), c_.dim, f_.qkv_bias);
      const bool has_values = !f_.keys_for_values || shape_->head_dim() != c_.head_dim();
      if (owns_kv_ && has_values) matrix("attn_v", shape_->kv_dim(), c_.dim, f_.qkv_bias);
    }
    if (f_.sinks) vector("attn_sinks.weight", shape_->n_heads, 0.0F, 2.0F);
    if (f_.head_norms) head_norm("attn_q_norm.weight", shape_->n_heads);
    if (f_.head_norms && owns_kv_) head_norm("attn_k_norm.weight", shape_->n_kv_heads);
    if (f_.sub_norms) norm("attn_sub_norm", shape_->q_dim(), false);
    matrix("attn_output", c_.dim, shape_->q_dim(), f_.other_biases);
  }

  void head_norm(std::string_view name, int heads) {
    const int n = shape_->head_dim();
    std::vector<std::uint64_t> dims{static_cast<std::uint64_t>(n)};
    if (f_.head_norm == HeadNorm::together) dims = {static_cast<std::uint64_t>(n * heads)};
    if (f_.head_norm == HeadNorm::own) dims.push_back(static_cast<std::uint64_t>(heads));
    const int values = f_.head_norm == HeadNorm::shared ? n : n * heads;
    writer_.add_tensor(fmt::format("{}{}", prefix_, name), dims, kF32,
                       encode_tensor(uniform(values, 1.0F, 0.25F), kF32));
  }

  void write_feed_forward() {
    for (const std::string_view name : {f_.ffn_norm, f_.ffn_post_norm}) {
      if (!name.empty()) norm(name, c_.dim, norm_bias());
    }
    if (f_.fused_gate_up) {
      matrix("ffn_up", 2 * shape_->hidden_dim, c_.dim, false);
      return matrix("ffn_down", c_.dim, shape_->hidden_dim, false);
    }
    if (f_.gate) matrix("ffn_gate", shape_->hidden_dim, c_.dim, false);
    matrix("ffn_up", shape_->hidden_dim, c_.dim, f_.other_biases && f_.up_bias);
    if (f_.sub_norms) norm("ffn_sub_norm", shape_->hidden_dim, false);
    matrix("ffn_down", c_.dim, shape_->hidden_dim, f_.other_biases);
  }

  void norm(std::string_view name, int n, bool bias) {
    vector(fmt::format("{}.weight", name), n, 1.0F, 0.25F);
    if (bias) vector(fmt::format("{}.bias", name), n, 0.0F, 0.5F);
  }
  void matrix(std::string_view name, int rows, int cols, bool bias) {
    tensor(fmt::format("{}.weight", name), rows, cols, matrices_);
    if (bias) vector(fmt::format("{}.bias", name), rows, 0.0F, 0.5F);
    if (f_.scales) vector(fmt::format("{}.scale", name), 1, 1.0F, 0.5F);
  }

  void vector(const std::string& name, int n, float middle, float reach) {
    writer_.add_tensor(prefix_ + name, {static_cast<std::uint64_t>(n)}, kF32,
                       encode_tensor(uniform(n, middle, reach), kF32));
  }
  void tensor(const std::string& name, int rows, int cols, const MatrixEncoding& wanted) {
    const MatrixEncoding& encoding = fitting(wanted, cols);
    const std::vector<float> weights = uniform(rows * cols, 0, std::sqrt(3.0F / static_cast<float>(cols)));
    writer_.add_tensor(prefix_ + name, {static_cast<std::uint64_t>(cols), static_cast<std::uint64_t>(rows)},
                       encoding.type, encoding.encode(weights));
  }
  static const MatrixEncoding& fitting(const MatrixEncoding& wanted, int cols) {
    static const MatrixEncoding kFloats;
    return cols % wanted.block == 0 ? wanted : kFloats;
  }
  std::vector<float> uniform(int n, float middle, float reach) {
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& v : values) {
      v = middle + reach * (static_cast<float>(random_() >> 40) / static_cast<float>(1 << 23) - 1.0F);
    }
    return values;
  }

  static constexpr int kTokenTypes = 2;
  static constexpr int kExpertHidden = 48, kSharedHidden = 80;
  static constexpr int kRank = 32, kValueSize = 16;
  static constexpr int kTaps = 3, kStateSize = 32, kKeyHeads = 2, kValueHeads = 4;

  const FamilyFile& f_;
  const Config& c_;
  const LayerShape* shape_ = nullptr;  // of the layer at hand
  bool owns_kv_ = true;                // the layer at hand
  std::mt19937_64 random_;
  const MatrixEncoding& matrices_;
  GgufWriter writer_;
  std::string prefix_;
};

}  // namespace

Config small_config(const FamilyFile& family) {
  // Families with layers of two kinds have one of each among these.
  const int n_layers = family.name == "gemma3" || family.name == "gemma-embedding"     ? 7
                       : family.window_head > 0                                        ? 8
                       : family.name == "smollm3" || family.window > 0 || family.delta ? 5
                                                                                       : 2;
  Config c = toy_config(80, 112, n_layers, 4, 2, 50, 24, false);
  c.shared_classifier = family.tied;
  c.head_size = 24;
  c.rope.dims = 16;
  if (family.window_head == 0) return c;
  // Of six layers the last has no window.
  c.layers.assign(static_cast<std::size_t>(n_layers), c);
  for (std::size_t i = 0; i < c.layers.size(); ++i) {
    if (i % 6 != 5) c.layers[i].head_size = family.window_head;
  }
  return c;
}

GgufWriter family_gguf(const FamilyFile& family, const Config& config, std::uint64_t seed,
                       const MatrixEncoding& matrices) {
  return FamilyWriter(family, config, seed, matrices).write();
}

}  // namespace llamajit::test
