#include "tests/support/family_writer.h"

#include <cmath>
#include <random>

#include <fmt/format.h>

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
    for (int i = 0; i < c_.n_layers; ++i) {
      prefix_ = fmt::format("blk.{}.", i);
      shape_ = &c_.layer(static_cast<std::size_t>(i));
      write_attention();
      write_feed_forward();
    }
    prefix_.clear();
    norm("output_norm", c_.dim, f_.layer_norm);
    if (!c_.shared_classifier) tensor("output.weight", c_.vocab_size, c_.dim, {});
    return writer_;
  }

 private:
  void write_keys() {
    const auto key = [&](std::string_view name) { return fmt::format("{}.{}", f_.name, name); };
    writer_.add("general.architecture", f_.name);
    writer_.add(key("context_length"), c_.seq_len);
    writer_.add(key("embedding_length"), c_.dim);
    writer_.add(key("block_count"), c_.n_layers);
    counts(key("feed_forward_length"), &LayerShape::hidden_dim);
    counts(key("attention.head_count"), &LayerShape::n_heads);
    counts(key("attention.head_count_kv"), &LayerShape::n_kv_heads);
    if (c_.layers.empty()) {
      writer_.add(key("attention.key_length"), c_.head_dim());
      writer_.add(key("attention.value_length"), c_.head_dim());
      writer_.add(key("rope.dimension_count"), c_.rotated_dims());
    }
    writer_.add(key(f_.layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"),
                c_.norm_eps);
    if (f_.name == "gptneox") writer_.add(key("use_parallel_residual"), f_.parallel);
  }

  // One number for all layers, or an array where they differ.
  void counts(const std::string& key, int LayerShape::*number) {
    if (c_.layers.empty()) return writer_.add(key, c_.*number);
    std::vector<std::int32_t> numbers;
    for (const LayerShape& layer : c_.layers) numbers.push_back(layer.*number);
    writer_.add(key, numbers);
  }

  void write_attention() {
    norm("attn_norm", c_.dim, f_.layer_norm);
    if (f_.fused_qkv) {
      matrix("attn_qkv", shape_->q_dim() + 2 * shape_->kv_dim(), c_.dim, f_.qkv_bias);
    } else {
      matrix("attn_q", shape_->q_dim(), c_.dim, f_.qkv_bias);
      matrix("attn_k", shape_->kv_dim(), c_.dim, f_.qkv_bias);
      matrix("attn_v", shape_->kv_dim(), c_.dim, f_.qkv_bias);
    }
    if (f_.head_norms) norm("attn_q_norm", shape_->head_dim(), false);
    if (f_.head_norms) norm("attn_k_norm", shape_->head_dim(), false);
    if (f_.sub_norms) norm("attn_sub_norm", shape_->q_dim(), false);
    matrix("attn_output", c_.dim, shape_->q_dim(), f_.other_biases);
  }

  void write_feed_forward() {
    norm(f_.ffn_norm, c_.dim, f_.layer_norm);
    if (f_.gate) matrix("ffn_gate", shape_->hidden_dim, c_.dim, false);
    matrix("ffn_up", shape_->hidden_dim, c_.dim, f_.other_biases);
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
  void tensor(const std::string& name, int rows, int cols, const MatrixEncoding& encoding) {
    const std::vector<float> weights = uniform(rows * cols, 0, std::sqrt(3.0F / static_cast<float>(cols)));
    writer_.add_tensor(prefix_ + name, {static_cast<std::uint64_t>(cols), static_cast<std::uint64_t>(rows)},
                       encoding.type, encoding.encode(weights));
  }
  std::vector<float> uniform(int n, float middle, float reach) {
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& v : values) {
      v = middle + reach * (static_cast<float>(random_() >> 40) / static_cast<float>(1 << 23) - 1.0F);
    }
    return values;
  }

  const FamilyFile& f_;
  const Config& c_;
  const LayerShape* shape_ = nullptr;  // of the layer at hand
  std::mt19937_64 random_;
  const MatrixEncoding& matrices_;
  GgufWriter writer_;
  std::string prefix_;
};

}  // namespace

GgufWriter family_gguf(const FamilyFile& family, const Config& config, std::uint64_t seed,
                       const MatrixEncoding& matrices) {
  return FamilyWriter(family, config, seed, matrices).write();
}

}  // namespace llamajit::test
