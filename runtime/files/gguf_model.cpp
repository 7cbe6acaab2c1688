#include "runtime/files/gguf_model.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/files/gguf_config.h"

namespace llamajit {
namespace {

constexpr std::int64_t kMaxVocabulary = 1 << 24;

std::string shape_of(std::span<const std::int64_t> dims) {
  return fmt::format("({})", fmt::join(dims.rbegin(), dims.rend(), ", "));
}

class GgufModelReader {
 public:
  GgufModelReader(const GgufFile& file, const Family& family)
      : file_(file), family_(family), config_(read_gguf_config(file, family)) {}

  ModelFile read() {
    ModelFile model;
    model.file_format = fmt::format("GGUF v{} ({})", file_.version(), family_.name);
    bind_rope_divisors();
    bind(model);
    model.config = std::move(config_);
    refuse_other_tensors();
    return model;
  }

 private:
  // Llama 3.1 has one tensor of them, Phi 3.5 two.
  void bind_rope_divisors() {
    bind_rope_divisors("rope_freqs.weight", &RopeConfig::divisors);
    bind_rope_divisors("rope_factors_short.weight", &RopeConfig::divisors);
    bind_rope_divisors("rope_factors_long.weight", &RopeConfig::long_divisors);
  }
  void bind_rope_divisors(const std::string& name, std::vector<float> RopeConfig::*to) {
    if (file_.find_tensor(name) == nullptr) return;
    const Tensor tensor = vector(name, config_.rotated_dims() / 2);
    std::vector<float> divisors;
    for (std::int64_t i = 0; i < tensor.cols; ++i) {
      divisors.push_back(source_value(source(tensor), 0, i));
      if (divisors.back() > 0) continue;  // and no NaN
      file_.fail(name, "positive numbers", fmt::to_string(divisors.back()));
    }
    config_.rope.*to = divisors;
    for (LayerShape& layer : config_.layers) {
      if (layer.rotated_dims() != config_.rotated_dims()) {
        file_.fail(name, fmt::format("layers that rotate {} values of a head", config_.rotated_dims()),
                   fmt::to_string(layer.rotated_dims()));
      }
      layer.rope.*to = divisors;
    }
  }

  void bind(ModelFile& model) {
    Config& c = config_;
    const GgufTensor& embedding = find("token_embd.weight");
    if (embedding.dims[1] > kMaxVocabulary) {
      file_.fail(embedding.name, fmt::format("at most {} rows", kMaxVocabulary), shape_of(embedding.dims));
    }
    c.vocab_size = static_cast<int>(embedding.dims[1]);
    model.embedding = matrix("token_embd.weight", c.vocab_size, c.dim);
    if (has("position_embd.weight", family_.positions)) {
      model.positions = floats("position_embd.weight", c.seq_len, c.dim);
    }
    for (int i = 0; i < c.n_layers; ++i) model.layers.push_back(bind_layer(i));
    model.final_norm = vector("output_norm.weight", c.dim);
    if (layer_norm()) model.final_norm_bias = vector("output_norm.bias", c.dim, family_.norm_bias);
    model.classifier_bias = vector("output.bias", c.vocab_size, family_.classifier_bias);
    c.shared_classifier = !has("output.weight", family_.classifier);
    model.classifier = c.shared_classifier ? model.embedding : matrix("output.weight", c.vocab_size, c.dim);
  }

  LayerTensors bind_layer(int layer) {
    LayerTensors tensors;
    const LayerShape& shape = config_.layer(static_cast<std::size_t>(layer));
    const auto name = [&](std::string_view part) { return fmt::format("blk.{}.{}", layer, part); };
    bind_attention(shape, tensors, name);
    bind_feed_forward(shape, tensors, name);
    return tensors;
  }

  template <class NameOf>
  void bind_attention(const LayerShape& c, LayerTensors& to, NameOf name) {
    bind_norms(c, to, name);
    if (family_.fused_qkv) {
      bind_fused_qkv(c, to, name("attn_qkv"));
    } else {
      to.wq = matrix(name("attn_q"), c.q_dim(), c.dim, family_.qkv_bias, to.wq_scale, to.wq_bias);
      to.wk = matrix(name("attn_k"), c.kv_dim(), c.dim, family_.qkv_bias, to.wk_scale, to.wk_bias);
      to.wv = matrix(name("attn_v"), c.kv_dim(), c.dim, family_.qkv_bias, to.wv_scale, to.wv_bias);
    }
    to.q_norm = head_norm(name("attn_q_norm.weight"), c, c.n_heads);
    to.k_norm = head_norm(name("attn_k_norm.weight"), c, c.n_kv_heads);
    to.att_sub_norm = vector(name("attn_sub_norm.weight"), c.q_dim(), family_.sub_norms);
    to.wo = matrix(name("attn_output"), c.dim, c.q_dim(), family_.output_bias, to.wo_scale, to.wo_bias);
  }

  // Of the stream, before and behind attention and feed-forward.
  template <class NameOf>
  void bind_norms(const LayerShape& c, LayerTensors& to, NameOf name) {
    const auto norm = [&](std::string_view part, Presence presence, Tensor& weight, Tensor& bias) {
      if (part.empty() || !has(name(fmt::format("{}.weight", part)), presence)) return;
      weight = vector(name(fmt::format("{}.weight", part)), c.dim);
      if (layer_norm()) bias = vector(name(fmt::format("{}.bias", part)), c.dim, family_.norm_bias);
    };
    Tensor no_bias;
    norm(family_.att_norm, Presence::needed, to.att_norm, to.att_norm_bias);
    norm(family_.ffn_norm, family_.has_ffn_norm, to.ffn_norm, to.ffn_norm_bias);
    norm(family_.att_post_norm, Presence::needed, to.att_post_norm, no_bias);
    norm(family_.ffn_post_norm, Presence::needed, to.ffn_post_norm, no_bias);
    if (family_.other_att_norm.empty()) return;
    Tensor other, other_bias;
    norm(family_.other_att_norm, Presence::optional, other, other_bias);
    if (!other.exists()) return;
    to.ffn_norm = std::exchange(to.att_norm, other);
    to.ffn_norm_bias = std::exchange(to.att_norm_bias, other_bias);
  }
  Tensor head_norm(const std::string& name, const LayerShape& c, int n_heads) {
    if (!has(name, family_.head_norms)) return {};
    if (c.head_norm == HeadNorm::shared) return vector(name, c.head_dim());
    if (c.head_norm == HeadNorm::together) return vector(name, std::int64_t{n_heads} * c.head_dim());
    Tensor tensor = floats(name, n_heads, c.head_dim());
    tensor.cols = std::exchange(tensor.rows, 1) * tensor.cols;
    return tensor;
  }

  template <class NameOf>
  void bind_experts(const LayerShape& c, LayerTensors& to, NameOf name) {
    const FamilyExperts& family = family_.experts;
    to.router = matrix(name("ffn_gate_inp.weight"), c.route.experts, c.dim);
    to.router_choice = vector(name("exp_probs_b.bias"), c.route.experts, family.choice_bias);
    to.gate = experts(name("ffn_gate_exps.weight"), c.route.experts, c.hidden_dim, c.dim);
    to.up = experts(name("ffn_up_exps.weight"), c.route.experts, c.hidden_dim, c.dim);
    to.down = experts(name("ffn_down_exps.weight"), c.route.experts, c.dim, c.hidden_dim);
    check_same_format(to.gate, to.up);
    if (c.shared_hidden_dim == 0) return;
    if (family.gates_shared) to.shared_router = vector(name("ffn_gate_inp_shexp.weight"), c.dim);
    to.shared_gate = matrix(name("ffn_gate_shexp.weight"), c.shared_hidden_dim, c.dim);
    to.shared_up = matrix(name("ffn_up_shexp.weight"), c.shared_hidden_dim, c.dim);
    to.shared_down = matrix(name("ffn_down_shexp.weight"), c.dim, c.shared_hidden_dim);
    check_same_format(to.shared_gate, to.shared_up);
  }
  // Their tiles alternate.
  void check_same_format(const Tensor& gate, const Tensor& up) const {
    if (gate.format == up.format) return;
    file_.fail(up.name, fmt::format("the format of {}, {}", gate.name, to_string(gate.format)),
               to_string(up.format));
  }

  template <class NameOf>
  void bind_feed_forward(const LayerShape& c, LayerTensors& to, NameOf name) {
    if (c.has_experts()) return bind_experts(c, to, name);
    if (family_.fused_gate_up) {
      const Tensor all = matrix(name("ffn_up.weight"), std::int64_t{2} * c.hidden_dim, c.dim);
      to.gate = rows_of(all, "gate", 0, c.hidden_dim);
      to.up = rows_of(all, "up", c.hidden_dim, c.hidden_dim);
      to.down = matrix(name("ffn_down.weight"), c.dim, c.hidden_dim);
      return;
    }
    to.up = matrix(name("ffn_up"), c.hidden_dim, c.dim, family_.ffn_bias, to.up_scale, to.up_bias);
    to.ffn_sub_norm = vector(name("ffn_sub_norm.weight"), c.hidden_dim, family_.sub_norms);
    to.down = matrix(name("ffn_down"), c.dim, c.hidden_dim, family_.ffn_bias, to.down_scale, to.down_bias);
    if (!c.gated()) return;
    Tensor no_bias;
    to.gate = matrix(name("ffn_gate"), c.hidden_dim, c.dim, Presence::none, to.gate_scale, no_bias);
    check_same_format(to.gate, to.up);
  }

  // The rows of q, k and v one after the other.
  void bind_fused_qkv(const LayerShape& c, LayerTensors& to, const std::string& name) {
    const std::int64_t q = c.q_dim(), kv = c.kv_dim();
    const Tensor all = matrix(name + ".weight", q + 2 * kv, c.dim);
    to.wq = rows_of(all, "q", 0, q);
    to.wk = rows_of(all, "k", q, kv);
    to.wv = rows_of(all, "v", q + kv, kv);
    const Tensor bias = vector(name + ".bias", q + 2 * kv, family_.qkv_bias);
    if (!bias.exists()) return;
    to.wq_bias = values_of(bias, "q", 0, q);
    to.wk_bias = values_of(bias, "k", q, kv);
    to.wv_bias = values_of(bias, "v", q + kv, kv);
  }
  static Tensor rows_of(const Tensor& all, std::string_view part, std::int64_t first, std::int64_t rows) {
    const std::size_t row_bytes = all.data.size() / static_cast<std::size_t>(all.rows);
    Tensor tensor = all;
    tensor.name = fmt::format("{} ({})", all.name, part);
    tensor.rows = rows;
    tensor.data = all.data.subspan(static_cast<std::size_t>(first) * row_bytes,
                                   static_cast<std::size_t>(rows) * row_bytes);
    return tensor;
  }
  static Tensor values_of(const Tensor& vector, std::string_view part, std::int64_t first, std::int64_t n) {
    Tensor column = vector;
    std::swap(column.rows, column.cols);
    Tensor tensor = rows_of(column, part, first, n);
    std::swap(tensor.rows, tensor.cols);
    return tensor;
  }

  bool layer_norm() const { return family_.norm == jit::NormKind::layer; }

  // Whether the file has a tensor that may be missing; one that is needed is looked for in any case, and one
  // that the family does not have is left for refuse_other_tensors().
  bool has(const std::string& name, Presence presence) const {
    return presence == Presence::needed ||
           (presence == Presence::optional && file_.find_tensor(name) != nullptr);
  }

  const GgufTensor& find(const std::string& name) {
    const GgufTensor* const tensor = file_.find_tensor(name);
    if (tensor == nullptr) file_.fail(name, "a tensor of this name", "none");
    bound_.insert(tensor->name);
    return *tensor;
  }

  Tensor vector(const std::string& name, std::int64_t size) { return floats(name, 1, size); }
  Tensor floats(const std::string& name, std::int64_t rows, std::int64_t cols) {
    Tensor tensor = bound(name, rows, cols);
    if (!has_codes(tensor.format)) return tensor;
    file_.fail(name, "one of the formats F32, F16, BF16", to_string(tensor.format));
  }
  Tensor vector(const std::string& name, std::int64_t size, Presence presence) {
    return has(name, presence) ? vector(name, size) : Tensor();
  }
  Tensor matrix(const std::string& name, std::int64_t rows, std::int64_t cols) {
    return bound(name, rows, cols);
  }
  // With the scale and the bias that may go with it.
  Tensor matrix(const std::string& name, std::int64_t rows, std::int64_t cols, Presence has_bias,
                Tensor& scale, Tensor& bias) {
    scale = vector(name + ".scale", 1, family_.scales);
    bias = vector(name + ".bias", rows, has_bias);
    return matrix(name + ".weight", rows, cols);
  }

  // Matrices one behind the other, as one of all their rows.
  Tensor experts(const std::string& name, std::int64_t n, std::int64_t rows, std::int64_t cols) {
    const GgufTensor& found = find(name);
    if (found.dims != std::array<std::int64_t, 4>{cols, rows, n, 1}) {
      file_.fail(name, fmt::format("shape ({}, {}, {})", n, rows, cols), shape_of(dims_of(found)));
    }
    return view(found, n * rows, cols);
  }
  static std::span<const std::int64_t> dims_of(const GgufTensor& tensor) {
    return std::span(tensor.dims).first(static_cast<std::size_t>(tensor.n_dims));
  }

  Tensor bound(const std::string& name, std::int64_t rows, std::int64_t cols) {
    const GgufTensor& found = find(name);
    if (found.dims != std::array<std::int64_t, 4>{cols, rows, 1, 1}) {
      file_.fail(name,
                 rows == 1 ? fmt::format("shape ({})", cols) : fmt::format("shape ({}, {})", rows, cols),
                 shape_of(dims_of(found)));
    }
    return view(found, rows, cols);
  }
  Tensor view(const GgufTensor& found, std::int64_t rows, std::int64_t cols) const {
    const std::string name(found.name);
    Tensor tensor{name, format_of(found), rows, cols, found.data, {}};
    if (tensor.format.kind == jit::FormatKind::i2_s) {
      const std::size_t tail = static_cast<std::size_t>(found.type->tail_bytes);
      tensor.data = found.data.first(found.data.size() - tail);
      tensor.scales = found.data.last(tail).first(sizeof(float));
    }
    return tensor;
  }

  jit::Format format_of(const GgufTensor& tensor) const {
    if (const auto format = jit::find_ggml_format(tensor.type->name)) return *format;
    std::vector<std::string_view> names;
    for (const jit::Format& format : jit::ggml_formats()) names.push_back(ggml_name(format.kind));
    file_.fail(tensor.name, fmt::format("one of the formats {}", fmt::join(names, ", ")), tensor.type->name);
  }

  // A tensor that nobody asked for is a part of the computation that would be left out.
  void refuse_other_tensors() const {
    for (const GgufTensor& tensor : file_.tensors()) {
      if (bound_.contains(tensor.name) || is_of_later_layer(tensor.name)) continue;
      file_.fail(tensor.name, fmt::format("tensors that a model of the family {} has", family_.name),
                 "another");
    }
  }

  // Of one that predicts further tokens.
  bool is_of_later_layer(std::string_view name) const {
    constexpr std::string_view kPrefix = "blk.";
    if (!name.starts_with(kPrefix)) return false;
    name.remove_prefix(kPrefix.size());
    int layer = -1;
    std::from_chars(name.data(), name.data() + name.size(), layer);
    const std::string key = fmt::format("{}.nextn_predict_layers", family_.name);
    return layer >= config_.n_layers && layer < config_.n_layers + file_.integer(key, 0, 1 << 14).value_or(0);
  }

  const GgufFile& file_;
  const Family& family_;
  Config config_;
  std::unordered_set<std::string_view> bound_;
};

}  // namespace

ModelFile read_gguf_model(GgufFile file) {
  return read_gguf_model(std::move(file), families());
}

ModelFile read_gguf_model(GgufFile file, std::span<const Family> known) {
  ModelFile model = GgufModelReader(file, family_of(file, known)).read();
  file.check_intact();
  model.parts = file.release_parts();
  return model;
}

}  // namespace llamajit
