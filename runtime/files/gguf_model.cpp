#include "runtime/files/gguf_model.h"

#include <algorithm>
#include <array>
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
  // Llama 3.1's, a tensor of its own.
  void bind_rope_divisors() {
    constexpr const char* kName = "rope_freqs.weight";
    if (file_.find_tensor(kName) == nullptr) return;
    const Tensor tensor = vector(kName, config_.rotated_dims() / 2);
    std::vector<float> divisors;
    for (std::int64_t i = 0; i < tensor.cols; ++i) {
      divisors.push_back(source_value(source(tensor), 0, i));
      if (divisors.back() > 0) continue;  // and no NaN
      file_.fail(kName, "positive numbers", fmt::to_string(divisors.back()));
    }
    config_.rope.divisors = divisors;
    for (LayerShape& layer : config_.layers) {
      if (layer.rotated_dims() != config_.rotated_dims()) {
        file_.fail(kName, fmt::format("layers that rotate {} values of a head", config_.rotated_dims()),
                   fmt::to_string(layer.rotated_dims()));
      }
      layer.rope.divisors = divisors;
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
    const std::string norm = name(family_.ffn_norm);
    to.ffn_norm = vector(norm + ".weight", c.dim);
    if (layer_norm()) to.ffn_norm_bias = vector(norm + ".bias", c.dim);
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
  return read_gguf_model(std::move(file), families());
}

ModelFile read_gguf_model(GgufFile file, std::span<const Family> known) {
  ModelFile model = GgufModelReader(file, family_of(file, known)).read();
  file.check_intact();
  model.parts = file.release_parts();
  return model;
}

}  // namespace llamajit
