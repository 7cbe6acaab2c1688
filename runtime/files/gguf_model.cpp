#include "runtime/files/gguf_model.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/model/families.h"
#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

// Far above any model, and low enough that products of two of them fit 64 bits and sums an int.
constexpr std::int64_t kMaxCount = 1 << 20;
constexpr std::int64_t kMaxLayers = 1 << 14;
constexpr std::int64_t kMaxVocabulary = 1 << 24;
constexpr std::int64_t kMaxContext = 1 << 24;

std::string shape_of(std::span<const std::int64_t> dims) {
  return fmt::format("({})", fmt::join(dims.rbegin(), dims.rend(), ", "));
}

class ModelReader {
 public:
  explicit ModelReader(const GgufFile& file) : file_(file), family_(read_family(file)) {}

  ModelFile read() {
    read_config();
    ModelFile model;
    model.file_format = fmt::format("GGUF v{} ({})", file_.version(), family_.name);
    bind(model);
    model.config = std::move(config_);
    refuse_other_tensors();
    return model;
  }

 private:
  static const Family& read_family(const GgufFile& file) {
    constexpr std::string_view kKey = "general.architecture";
    const auto name = file.string(kKey);
    const Family* const family = name ? find_family(*name) : nullptr;
    if (family != nullptr) return *family;
    std::vector<std::string_view> known;
    for (const Family& f : families()) known.push_back(f.name);
    file.fail(kKey, fmt::format("a supported family of models ({})", fmt::join(known, ", ")),
              name ? fmt::format("'{}'", escaped(*name)) : "none");
  }

  // A key of the family: "llama.block_count".
  std::string key(std::string_view name) const { return fmt::format("{}.{}", family_.name, name); }

  std::optional<int> count(std::string_view name, std::int64_t low, std::int64_t high) const {
    const auto value = file_.integer(key(name), low, high);
    return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
  }
  int required_count(std::string_view name, std::int64_t high) const {
    const auto value = count(name, 1, high);
    if (!value) file_.fail(key(name), fmt::format("an integer from 1 to {}", high), "none");
    return *value;
  }
  // Positive, and as large as a float can be.
  std::optional<float> positive(std::string_view name) const {
    const auto value = file_.number(key(name));
    if (value && (*value <= 0 || *value > std::numeric_limits<float>::max())) {
      file_.fail(key(name), "a positive number", fmt::to_string(*value));
    }
    return value ? std::optional(static_cast<float>(*value)) : std::nullopt;
  }

  void read_config() {
    Config& c = config_;
    c.norm = family_.norm;
    c.activation = family_.activation;
    c.rope.pairs = family_.pairs;
    if (family_.may_be_parallel) c.parallel_residual = read_parallel_residual();
    c.seq_len = required_count("context_length", kMaxContext);
    c.dim = required_count("embedding_length", kMaxCount);
    c.n_layers = required_count("block_count", kMaxLayers);
    c.hidden_dim = required_count("feed_forward_length", kMaxCount);
    read_heads();
    read_norm();
    read_rope();
    if (count("expert_count", 0, kMaxCount).value_or(0) > 0) {
      file_.fail(key("expert_count"), "0 (mixtures of experts are not supported)",
                 fmt::to_string(*count("expert_count", 0, kMaxCount)));
    }
  }

  bool read_parallel_residual() const {
    const auto value = file_.boolean(key("use_parallel_residual"));
    if (!value) file_.fail(key("use_parallel_residual"), "true or false", "none");
    return *value;
  }

  void read_heads() {
    Config& c = config_;
    c.n_heads = required_count("attention.head_count", kMaxCount);
    c.n_kv_heads = count("attention.head_count_kv", 1, kMaxCount).value_or(c.n_heads);
    if (c.n_heads % c.n_kv_heads != 0) {
      file_.fail(key("attention.head_count_kv"), fmt::format("a divisor of head_count {}", c.n_heads),
                 fmt::to_string(c.n_kv_heads));
    }
    if (const auto size = count("attention.key_length", 1, kMaxCount)) {
      c.head_size = *size;
    } else if (c.dim % c.n_heads != 0) {
      file_.fail(key("attention.head_count"), fmt::format("a divisor of embedding_length {}", c.dim),
                 fmt::to_string(c.n_heads));
    }
    const std::int64_t q_dim = std::int64_t{c.head_dim()} * c.n_heads;
    if (c.head_dim() % 2 != 0 || q_dim > kMaxCount) {
      file_.fail(key("attention.head_count"),
                 fmt::format("heads of an even size, {} values together at the most", kMaxCount),
                 fmt::format("{} heads of size {}", c.n_heads, c.head_dim()));
    }
    if (const auto size = count("attention.value_length", 1, kMaxCount); size && *size != c.head_dim()) {
      file_.fail(key("attention.value_length"), fmt::format("the length of keys, {}", c.head_dim()),
                 fmt::to_string(*size));
    }
  }

  void read_norm() {
    const std::string_view name = family_.norm == jit::NormKind::rms ? "attention.layer_norm_rms_epsilon"
                                                                     : "attention.layer_norm_epsilon";
    const auto eps = positive(name);
    if (!eps) file_.fail(key(name), "a positive number", "none");
    config_.norm_eps = *eps;
  }

  void read_rope() {
    RopeConfig& rope = config_.rope;
    rope.theta = positive("rope.freq_base").value_or(rope.theta);
    if (const auto dims = count("rope.dimension_count", 1, config_.head_dim())) {
      if (*dims % 2 != 0) file_.fail(key("rope.dimension_count"), "an even number", fmt::to_string(*dims));
      rope.dims = *dims;
    }
    read_rope_scaling();
    rope.divisors = read_rope_divisors();
  }

  void read_rope_scaling() {
    RopeConfig& rope = config_.rope;
    // Files from before there was a type of scaling have a linear one.
    const auto factor = positive("rope.scaling.factor");
    rope.factor = factor ? *factor : positive("rope.scale_linear").value_or(1.0F);
    const std::string_view type = file_.string(key("rope.scaling.type")).value_or("linear");
    if (type == "yarn") {
      rope.scaling = RopeConfig::Scaling::yarn;
    } else if (type == "linear") {
      rope.scaling = rope.factor != 1.0F ? RopeConfig::Scaling::linear : RopeConfig::Scaling::none;
    } else if (type != "none") {
      file_.fail(key("rope.scaling.type"), "none, linear or yarn", fmt::format("'{}'", escaped(type)));
    }
    rope.original_context =
        count("rope.scaling.original_context_length", 1, kMaxContext).value_or(config_.seq_len);
    rope.beta_fast = positive("rope.scaling.yarn_beta_fast").value_or(rope.beta_fast);
    rope.beta_slow = positive("rope.scaling.yarn_beta_slow").value_or(rope.beta_slow);
    rope.magnitude = positive("rope.scaling.attn_factor").value_or(rope.magnitude);
    if (const auto extrapolation = file_.number(key("rope.scaling.yarn_ext_factor"));
        extrapolation && *extrapolation != 1) {
      file_.fail(key("rope.scaling.yarn_ext_factor"), "1", fmt::to_string(*extrapolation));
    }
  }

  // Llama 3.1's, a tensor of its own.
  std::vector<float> read_rope_divisors() {
    if (file_.find_tensor("rope_freqs.weight") == nullptr) return {};
    const Tensor tensor = vector("rope_freqs.weight", config_.rotated_dims() / 2);
    std::vector<float> divisors;
    for (std::int64_t i = 0; i < tensor.cols; ++i) {
      divisors.push_back(source_value(source(tensor), 0, i));
      if (divisors.back() > 0) continue;  // and no NaN
      file_.fail("rope_freqs.weight", "positive numbers", fmt::to_string(divisors.back()));
    }
    return divisors;
  }

  void bind(ModelFile& model) {
    Config& c = config_;
    const GgufTensor& embedding = find("token_embd.weight");
    if (embedding.dims[1] > kMaxVocabulary) {
      file_.fail(embedding.name, fmt::format("at most {} rows", kMaxVocabulary), shape_of(embedding.dims));
    }
    c.vocab_size = static_cast<int>(embedding.dims[1]);
    model.embedding = matrix("token_embd.weight", c.vocab_size, c.dim);
    for (int i = 0; i < c.n_layers; ++i) model.layers.push_back(bind_layer(i));
    model.final_norm = vector("output_norm.weight", c.dim);
    if (layer_norm()) model.final_norm_bias = vector("output_norm.bias", c.dim);
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
    to.att_norm = vector(name("attn_norm.weight"), c.dim);
    if (layer_norm()) to.att_norm_bias = vector(name("attn_norm.bias"), c.dim);
    if (family_.fused_qkv) {
      bind_fused_qkv(c, to, name("attn_qkv"));
    } else {
      to.wq = matrix(name("attn_q"), c.q_dim(), c.dim, family_.qkv_bias, to.wq_scale, to.wq_bias);
      to.wk = matrix(name("attn_k"), c.kv_dim(), c.dim, family_.qkv_bias, to.wk_scale, to.wk_bias);
      to.wv = matrix(name("attn_v"), c.kv_dim(), c.dim, family_.qkv_bias, to.wv_scale, to.wv_bias);
    }
    to.q_norm = vector(name("attn_q_norm.weight"), c.head_dim(), family_.head_norms);
    to.k_norm = vector(name("attn_k_norm.weight"), c.head_dim(), family_.head_norms);
    to.att_sub_norm = vector(name("attn_sub_norm.weight"), c.q_dim(), family_.sub_norms);
    to.wo = matrix(name("attn_output"), c.dim, c.q_dim(), family_.output_bias, to.wo_scale, to.wo_bias);
  }

  template <class NameOf>
  void bind_feed_forward(const LayerShape& c, LayerTensors& to, NameOf name) {
    to.ffn_norm = vector(name("ffn_norm.weight"), c.dim);
    if (layer_norm()) to.ffn_norm_bias = vector(name("ffn_norm.bias"), c.dim);
    to.up = matrix(name("ffn_up"), c.hidden_dim, c.dim, family_.ffn_bias, to.up_scale, to.up_bias);
    to.ffn_sub_norm = vector(name("ffn_sub_norm.weight"), c.hidden_dim, family_.sub_norms);
    to.down = matrix(name("ffn_down"), c.dim, c.hidden_dim, family_.ffn_bias, to.down_scale, to.down_bias);
    if (!c.gated()) return;
    Tensor no_bias;
    to.gate = matrix(name("ffn_gate"), c.hidden_dim, c.dim, Presence::none, to.gate_scale, no_bias);
    if (to.gate.format != to.up.format) {
      file_.fail(to.up.name, fmt::format("the format of {}, {}", to.gate.name, to_string(to.gate.format)),
                 to_string(to.up.format));
    }
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

  Tensor vector(const std::string& name, std::int64_t size) {
    Tensor tensor = bound(name, 1, size);
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

  Tensor bound(const std::string& name, std::int64_t rows, std::int64_t cols) {
    const GgufTensor& found = find(name);
    if (found.dims != std::array<std::int64_t, 4>{cols, rows, 1, 1}) {
      const auto dims = std::span(found.dims).first(static_cast<std::size_t>(found.n_dims));
      file_.fail(name,
                 rows == 1 ? fmt::format("shape ({})", cols) : fmt::format("shape ({}, {})", rows, cols),
                 shape_of(dims));
    }
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
      if (bound_.contains(tensor.name)) continue;
      file_.fail(tensor.name, fmt::format("tensors that a model of the family {} has", family_.name),
                 "another");
    }
  }

  const GgufFile& file_;
  const Family& family_;
  Config config_;
  std::unordered_set<std::string_view> bound_;
};

}  // namespace

ModelFile read_gguf_model(GgufFile file) {
  ModelFile model = ModelReader(file).read();
  file.check_intact();
  model.parts = file.release_parts();
  return model;
}

}  // namespace llamajit
