#include "runtime/files/gguf_model.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "runtime/files/gguf_config.h"
#include "runtime/files/gguf_tensors.h"

namespace llamajit {
namespace {

constexpr std::int64_t kMaxVocabulary = 1 << 24;

struct LayerNames {
  int layer;
  std::string operator()(std::string_view part) const { return fmt::format("blk.{}.{}", layer, part); }
};

class GgufModelReader : GgufTensors {
 public:
  GgufModelReader(const GgufFile& file, const Family& family, Config config)
      : GgufTensors(file, family), config_(std::move(config)) {}

  ModelFile read() {
    ModelFile model;
    bind_rope_divisors();
    bind(model);
    refuse_other_tensors(config_.n_layers);
    return finished(std::move(model));
  }

  ModelFile read_drafting_layer(int layer) {
    ModelFile model;
    bind_rope_divisors();
    bind_drafting_layer(LayerNames{layer}, model);
    refuse_other_tensors_of(LayerNames{layer}(""));
    return finished(std::move(model));
  }

 private:
  ModelFile finished(ModelFile model) {
    model.file_format = fmt::format("GGUF v{} ({})", file_.version(), family_.name);
    model.config = std::move(config_);
    model.rearranged = std::move(rearranged_);
    return model;
  }

  // Llama 3.1 has one tensor of them, Phi 3.5 two.
  void bind_rope_divisors() {
    bind_rope_divisors("rope_freqs.weight", &RopeConfig::divisors);
    bind_rope_divisors("rope_factors_short.weight", &RopeConfig::divisors);
    bind_rope_divisors("rope_factors_long.weight", &RopeConfig::long_divisors);
  }
  void bind_rope_divisors(const std::string& name, std::vector<float> RopeConfig::*to) {
    if (file_.find_tensor(name) == nullptr) return;
    std::vector<LayerShape*> shapes{&config_};
    for (LayerShape& layer : config_.layers) shapes.push_back(&layer);
    if (!family_.divides_all)
      std::erase_if(shapes, [](const LayerShape* shape) { return shape->window > 0; });
    const int dims = shapes.empty() ? config_.rotated_dims() : shapes.back()->rotated_dims();
    const Tensor tensor = vector(name, dims / 2);
    std::vector<float> divisors;
    for (std::int64_t i = 0; i < tensor.cols; ++i) {
      divisors.push_back(source_value(source(tensor), 0, i));
      if (divisors.back() > 0) continue;  // and no NaN
      file_.fail(name, "positive numbers", fmt::to_string(divisors.back()));
    }
    for (LayerShape* const shape : shapes) {
      if (shape->rotated_dims() != dims) {
        file_.fail(name, fmt::format("layers that rotate {} values of a head", dims),
                   fmt::to_string(shape->rotated_dims()));
      }
      shape->rope.*to = divisors;
    }
  }

  void read_vocab_size() {
    const GgufTensor& embedding = find("token_embd.weight");
    if (embedding.dims[1] > kMaxVocabulary) {
      file_.fail(embedding.name, fmt::format("at most {} rows", kMaxVocabulary), shape_of(embedding.dims));
    }
    config_.vocab_size = static_cast<int>(embedding.dims[1]);
  }

  void bind(ModelFile& model) {
    Config& c = config_;
    read_vocab_size();
    model.embedding = matrix("token_embd.weight", c.vocab_size, c.dim);
    if (has("position_embd.weight", family_.positions)) {
      model.positions = floats("position_embd.weight", c.seq_len, c.dim);
    }
    if (family_.token_types) bind_token_types(model);
    norm(family_.embedding_norm, "", model.embedding_norm, model.embedding_norm_bias);
    bind_layer_inputs(model);
    for (int i = 0; i < c.n_layers; ++i) {
      model.layers.push_back(bind_layer(c.layer(static_cast<std::size_t>(i)), LayerNames{i}));
    }
    norm(family_.final_norm, "", model.final_norm, model.final_norm_bias);
    model.classifier_bias = vector("output.bias", c.vocab_size, family_.classifier_bias);
    c.shared_classifier = !has("output.weight", family_.classifier);
    model.classifier = c.shared_classifier ? model.embedding : matrix("output.weight", c.vocab_size, c.dim);
  }

  // Whose norm, embedding and classifier are the model's where the layer has none of its own.
  void bind_drafting_layer(const LayerNames& name, ModelFile& model) {
    const Config& c = config_;
    read_vocab_size();
    const auto own = [&](std::string_view part) {
      return has(name(part), Presence::optional) ? matrix(name(part), c.vocab_size, c.dim) : Tensor();
    };
    model.embedding = own("nextn.embed_tokens.weight");
    model.token_norm = vector(name("nextn.enorm.weight"), c.dim);
    model.hidden_norm = vector(name("nextn.hnorm.weight"), c.dim);
    model.input_projection = matrix(name("nextn.eh_proj.weight"), c.dim, std::int64_t{2} * c.dim);
    model.layers.push_back(bind_layer(c, name));
    const std::string norm = name("nextn.shared_head_norm.weight");
    model.final_norm = vector(has(norm, Presence::optional) ? norm : "output_norm.weight", c.dim);
    model.classifier = own("nextn.shared_head_head.weight");
  }

  // As many as the tokenizer tells apart, where the file says how many these are.
  void bind_token_types(ModelFile& model) {
    constexpr std::string_view kKey = "tokenizer.ggml.token_type_count";
    const GgufTensor& found = find("token_types.weight");
    const std::int64_t types = found.n_dims == 1 ? 1 : found.dims[1];
    model.token_types = floats("token_types.weight", types, config_.dim);
    const auto said = file_.integer(kKey, 1, kMaxVocabulary);
    if (said && *said != types) {
      file_.fail(kKey, fmt::format("the rows of token_types.weight, {}", types), fmt::to_string(*said));
    }
  }

  void bind_layer_inputs(ModelFile& model) {
    const Config& c = config_;
    if (c.layer_input_dim == 0) return;
    const std::int64_t all = std::int64_t{c.layer_input_dim} * c.n_layers;
    model.layer_inputs = matrix("per_layer_token_embd.weight", c.vocab_size, all);
    model.layer_input_matrix = matrix("per_layer_model_proj.weight", all, c.dim);
    model.layer_input_norm = vector("per_layer_proj_norm.weight", c.layer_input_dim);
  }

  LayerTensors bind_layer(const LayerShape& shape, const LayerNames& name) {
    LayerTensors tensors;
    bind_attention(shape, tensors, name);
    bind_feed_forward(shape, tensors, name);
    if (family_.scales_layers) tensors.output_scale = vector(name("layer_output_scale.weight"), 1);
    if (config_.layer_input_dim == 0) return tensors;
    tensors.input_gate = matrix(name("inp_gate.weight"), config_.layer_input_dim, shape.dim);
    tensors.input_down = matrix(name("proj.weight"), shape.dim, config_.layer_input_dim);
    tensors.input_norm = vector(name("post_norm.weight"), shape.dim);
    return tensors;
  }

  void bind_attention(const LayerShape& c, LayerTensors& to, const LayerNames& name) {
    bind_norms(to, name);
    if (c.is_linear()) return bind_delta(c, to, name);
    if (c.is_latent()) return bind_latent(c, to, name);
    if (c.gated_attention) {
      bind_gated_queries(c, to, name);
    } else if (family_.fused_qkv) {
      bind_fused_qkv(c, to, name("attn_qkv"));
    } else {
      to.wq = matrix(name("attn_q"), c.q_dim(), c.dim, family_.qkv_bias, to.wq_scale, to.wq_bias);
    }
    if (!family_.fused_qkv && c.owns_kv()) {
      to.wk = matrix(name("attn_k"), c.kv_dim(), c.dim, family_.qkv_bias, to.wk_scale, to.wk_bias);
      const bool has_values = !family_.keys_for_values || file_.find_tensor(name("attn_v.weight")) != nullptr;
      to.wv = matrix(name(has_values ? "attn_v" : "attn_k"), c.kv_dim(), c.dim, family_.qkv_bias, to.wv_scale,
                     to.wv_bias);
    }
    to.q_norm = head_norm(name("attn_q_norm.weight"), c, c.n_heads);
    if (c.owns_kv()) to.k_norm = head_norm(name("attn_k_norm.weight"), c, c.n_kv_heads);
    to.sinks = vector(name("attn_sinks.weight"), c.n_heads, family_.sinks);
    to.att_sub_norm = vector(name("attn_sub_norm.weight"), c.q_dim(), family_.sub_norms);
    to.wo = matrix(name("attn_output"), c.dim, c.q_dim(), family_.output_bias, to.wo_scale, to.wo_bias);
  }

  // Each head's queries, then its gates.
  void bind_gated_queries(const LayerShape& c, LayerTensors& to, const LayerNames& name) {
    const Tensor all = matrix(name("attn_q.weight"), std::int64_t{2} * c.q_dim(), c.dim);
    const int n = c.head_dim();
    to.wq = rearranged(all, "q", c.q_dim(), [n](std::int64_t row) { return row / n * 2 * n + row % n; });
    to.att_gate =
        rearranged(all, "gate", c.q_dim(), [n](std::int64_t row) { return row / n * 2 * n + n + row % n; });
  }

  void bind_latent(const LayerShape& c, LayerTensors& to, const LayerNames& name) {
    const LatentAttention& latent = c.latent;
    if (latent.query_rank > 0) {
      to.q_down = matrix(name("attn_q_a.weight"), latent.query_rank, c.dim);
      to.q_down_norm = vector(name("attn_q_a_norm.weight"), latent.query_rank);
      to.wq = matrix(name("attn_q_b.weight"), c.query_dim(), latent.query_rank);
    } else {
      to.wq = matrix(name("attn_q.weight"), c.query_dim(), c.dim);
    }
    const Tensor both = matrix(name("attn_kv_a_mqa.weight"), latent.rank + c.rope.dims, c.dim);
    to.wv = rows_of(both, "latent", 0, latent.rank);
    to.wk = rows_of(both, "rotated key", latent.rank, c.rope.dims);
    to.latent_norm = vector(name("attn_kv_a_norm.weight"), latent.rank);
    if (file_.find_tensor(name("attn_kv_b.weight")) != nullptr) {
      bind_heads_of_latent(c, to, name("attn_kv_b.weight"));
    } else {
      to.absorb = floats_of(experts(name("attn_k_b.weight"), c.n_heads, latent.rank, latent.key_dim));
      to.raise = floats_of(experts(name("attn_v_b.weight"), c.n_heads, latent.value_dim, latent.rank));
    }
    to.wo = matrix(name("attn_output.weight"), c.dim, c.attended_dim());
  }
  // Of each head: the rows of its keys, then those of its values.
  void bind_heads_of_latent(const LayerShape& c, LayerTensors& to, const std::string& name) {
    const LatentAttention latent = c.latent;
    const std::int64_t stride = std::int64_t{latent.key_dim} + latent.value_dim;
    const Tensor all = matrix(name, c.n_heads * stride, latent.rank);
    using Place = std::pair<std::int64_t, std::int64_t>;
    to.absorb = reordered(all, "keys", std::int64_t{c.n_heads} * latent.rank, latent.key_dim,
                          [=](std::int64_t row, std::int64_t col) {
                            return Place(row / latent.rank * stride + col, row % latent.rank);
                          });
    to.raise =
        reordered(all, "values", c.latent_values(), latent.rank, [=](std::int64_t row, std::int64_t col) {
          const std::int64_t head = row / latent.value_dim;
          return Place(head * stride + latent.key_dim + row % latent.value_dim, col);
        });
  }
  Tensor floats_of(const Tensor& tensor) {
    if (!has_codes(tensor.format)) return tensor;
    return reordered(tensor, "as F16", tensor.rows, tensor.cols,
                     [](std::int64_t row, std::int64_t col) { return std::pair(row, col); });
  }

  void bind_delta(const LayerShape& c, LayerTensors& to, const LayerNames& name) {
    const DeltaNet& delta = c.delta;
    if (file_.find_tensor(name("ssm_in.weight")) != nullptr) {
      bind_delta_inputs(c, to, name("ssm_in.weight"));
    } else {
      to.wq = matrix(name("attn_qkv.weight"), delta.channels(), c.dim);
      to.att_gate = matrix(name("attn_gate.weight"), delta.values(), c.dim);
    }
    if (family_.delta.fused_gates) {
      bind_delta_gates(c, to, name("ssm_ba.weight"));
    } else {
      to.delta_decay = matrix(name("ssm_alpha.weight"), delta.value_heads, c.dim);
      to.delta_rate = matrix(name("ssm_beta.weight"), delta.value_heads, c.dim);
    }
    to.delta_conv = floats(name("ssm_conv1d.weight"), delta.channels(), delta.taps);
    to.delta_decay_bias = vector(name("ssm_dt.bias"), delta.value_heads);
    to.delta_a = vector(name("ssm_a"), delta.value_heads);
    to.delta_norm = vector(name("ssm_norm.weight"), delta.value_dim);
    to.wo = matrix(name("ssm_out.weight"), c.dim, delta.values());
  }
  // Of each key head: its query, its key, its value heads, and their gates.
  void bind_delta_inputs(const LayerShape& c, LayerTensors& to, const std::string& name) {
    const DeltaNet& delta = c.delta;
    const std::int64_t key = delta.key_dim, values = delta.values() / delta.key_heads;
    const std::int64_t stride = 2 * key + 2 * values;
    const Tensor all = matrix(name, delta.key_heads * stride, c.dim);
    const auto values_row = [=](std::int64_t row) { return row / values * stride + 2 * key + row % values; };
    to.wq = rearranged(all, "q, k, v", delta.channels(), [=, keys = delta.keys()](std::int64_t row) {
      if (row >= 2 * keys) return values_row(row - 2 * keys);
      return row % keys / key * stride + row / keys * key + row % key;
    });
    to.att_gate =
        rearranged(all, "gate", delta.values(), [=](std::int64_t row) { return values_row(row) + values; });
  }
  // Of each key head: its value heads' rates, then their decays.
  void bind_delta_gates(const LayerShape& c, LayerTensors& to, const std::string& name) {
    const DeltaNet& delta = c.delta;
    const int n = delta.value_heads / delta.key_heads;
    const Tensor all = matrix(name, std::int64_t{2} * delta.value_heads, c.dim);
    to.delta_rate = rearranged(all, "rate", delta.value_heads,
                               [n](std::int64_t row) { return row / n * 2 * n + row % n; });
    to.delta_decay = rearranged(all, "decay", delta.value_heads,
                                [n](std::int64_t row) { return row / n * 2 * n + n + row % n; });
  }

  // Of the stream, if the family has it; `of` is the layer's prefix.
  void norm(std::string_view part, std::string_view of, Tensor& weight, Tensor& bias,
            Presence presence = Presence::needed) {
    if (part.empty() || !has(fmt::format("{}{}.weight", of, part), presence)) return;
    weight = vector(fmt::format("{}{}.weight", of, part), config_.dim);
    if (layer_norm()) bias = vector(fmt::format("{}{}.bias", of, part), config_.dim, family_.norm_bias);
  }
  // Of the stream, before and behind attention and feed-forward.
  void bind_norms(LayerTensors& to, const LayerNames& name) {
    const std::string of = name("");
    Tensor no_bias;
    if (family_.first_att_norm || name.layer > 0) norm(family_.att_norm, of, to.att_norm, to.att_norm_bias);
    norm(family_.ffn_norm, of, to.ffn_norm, to.ffn_norm_bias, family_.has_ffn_norm);
    norm(family_.att_post_norm, of, to.att_post_norm, no_bias);
    norm(family_.ffn_post_norm, of, to.ffn_post_norm, no_bias);
    norm(family_.att_output_norm, of, to.att_output_norm, to.att_output_norm_bias);
    norm(family_.layer_output_norm, of, to.layer_output_norm, to.layer_output_norm_bias);
    if (family_.other_att_norm.empty()) return;
    Tensor other, other_bias;
    norm(family_.other_att_norm, of, other, other_bias, Presence::optional);
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

  void bind_experts(const LayerShape& c, LayerTensors& to, const LayerNames& name) {
    const FamilyExperts& family = family_.experts;
    to.router = matrix(name("ffn_gate_inp.weight"), c.route.experts, c.dim);
    to.router_choice = vector(name("exp_probs_b.bias"), c.route.experts, family.choice_bias);
    if (family.beside) {
      bind_experts_beside(c, to, name);
    } else {
      to.gate = experts(name("ffn_gate_exps.weight"), c.route.experts, c.hidden_dim, c.dim);
      to.up = experts(name("ffn_up_exps.weight"), c.route.experts, c.hidden_dim, c.dim);
    }
    to.down = experts(name("ffn_down_exps.weight"), c.route.experts, c.dim, c.hidden_dim);
    check_same_format(to.gate, to.up);
    if (family.biases) {
      to.router_bias = vector(name("ffn_gate_inp.bias"), c.route.experts);
      to.gate_biases = floats(name("ffn_gate_exps.bias"), c.route.experts, c.hidden_dim);
      to.up_biases = floats(name("ffn_up_exps.bias"), c.route.experts, c.hidden_dim);
      to.down_biases = floats(name("ffn_down_exps.bias"), c.route.experts, c.dim);
    }
    if (c.shared_hidden_dim == 0 || family.beside) return;
    if (family.gates_shared) to.shared_router = vector(name("ffn_gate_inp_shexp.weight"), c.dim);
    to.shared_gate = matrix(name("ffn_gate_shexp.weight"), c.shared_hidden_dim, c.dim);
    to.shared_up = matrix(name("ffn_up_shexp.weight"), c.shared_hidden_dim, c.dim);
    to.shared_down = matrix(name("ffn_down_shexp.weight"), c.dim, c.shared_hidden_dim);
    check_same_format(to.shared_gate, to.shared_up);
  }

  // Of each expert, the rows of gate, then those of up. What takes every token is called as if there were no
  // experts.
  void bind_experts_beside(const LayerShape& c, LayerTensors& to, const LayerNames& name) {
    const std::int64_t rows = c.hidden_dim;
    const Tensor all = experts(name("ffn_gate_up_exps.weight"), c.route.experts, 2 * rows, c.dim);
    to.gate = blocks_of(all, "gate", 0, rows, 2 * rows);
    to.up = blocks_of(all, "up", rows, rows, 2 * rows);
    to.router_norm = vector(name("ffn_gate_inp.scale"), c.dim);
    to.expert_scales = vector(name("ffn_down_exps.scale"), c.route.experts);
    to.expert_norm = vector(name("pre_ffw_norm_2.weight"), c.dim);
    to.expert_post_norm = vector(name("post_ffw_norm_2.weight"), c.dim);
    to.shared_post_norm = vector(name("post_ffw_norm_1.weight"), c.dim);
    to.shared_gate = matrix(name("ffn_gate.weight"), c.shared_hidden_dim, c.dim);
    to.shared_up = matrix(name("ffn_up.weight"), c.shared_hidden_dim, c.dim);
    to.shared_down = matrix(name("ffn_down.weight"), c.dim, c.shared_hidden_dim);
    check_same_format(to.shared_gate, to.shared_up);
  }

  void bind_feed_forward(const LayerShape& c, LayerTensors& to, const LayerNames& name) {
    if (c.has_experts()) return bind_experts(c, to, name);
    if (family_.fused_gate_up) {
      const Tensor all = matrix(name("ffn_up.weight"), std::int64_t{2} * c.hidden_dim, c.dim);
      to.gate = rows_of(all, "gate", 0, c.hidden_dim);
      to.up = rows_of(all, "up", c.hidden_dim, c.hidden_dim);
      to.down = matrix(name("ffn_down.weight"), c.dim, c.hidden_dim);
      return;
    }
    const Presence up_bias = family_.up_bias ? family_.ffn_bias : Presence::none;
    to.up = matrix(name("ffn_up"), c.hidden_dim, c.dim, up_bias, to.up_scale, to.up_bias);
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

  bool layer_norm() const { return family_.norm == jit::NormKind::layer; }
  Config config_;
};

}  // namespace

void check_has_weights(const GgufFile& file) {
  if (!file.tensors().empty()) return;
  const bool tokenizes = file.find("tokenizer.ggml.tokens") != nullptr;
  file.fail(
      "tensors", "the weights of a model",
      tokenizes ? "none; the file holds a vocabulary alone, which only llamajit tokenize takes" : "none");
}

ModelFile read_gguf_model(GgufFile file) {
  return read_gguf_model(std::move(file), families());
}

ModelFile read_gguf_model(GgufFile file, std::span<const Family> known) {
  check_has_weights(file);
  const Family& family = family_of(file, known);
  ModelFile model = GgufModelReader(file, family, read_gguf_config(file, family)).read();
  file.check_intact();
  model.parts = file.release_parts();
  return model;
}

std::optional<ModelFile> read_gguf_drafting_layer(GgufFile file) {
  const Family& family = family_of(file, families());
  const auto layer = find_drafting_layer(file, family);
  if (!layer) return std::nullopt;
  GgufModelReader reader(file, family, read_drafting_config(file, family));
  ModelFile model = reader.read_drafting_layer(*layer);
  file.check_intact();
  model.parts = file.release_parts();
  return model;
}

}  // namespace llamajit
