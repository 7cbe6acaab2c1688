#include "runtime/files/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "jit/base/lanes.h"
#include "runtime/files/gguf_layer_keys.h"
#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

class ConfigReader : GgufLayerKeys {
 public:
  ConfigReader(const GgufFile& file, const Family& family, bool drafting)
      : GgufLayerKeys(file, family), drafting_(drafting) {}

  std::optional<int> find_drafting_layer() {
    const int later = count("nextn_predict_layers", 0, kMaxLayers).value_or(0);
    if (!family_.drafts || later == 0) return std::nullopt;
    const int layer = std::max(0, required_count("block_count", kMaxLayers) - later);
    const std::string prefix = fmt::format("blk.{}.", layer);
    const auto is_of_layer = [&](const GgufTensor& tensor) { return tensor.name.starts_with(prefix); };
    return std::ranges::any_of(file_.tensors(), is_of_layer) ? std::optional(layer) : std::nullopt;
  }

  Config read() {
    Config& c = config_;
    c.norm = family_.norm;
    c.activation = read_activation();
    c.rope.pairs = family_.pairs;
    c.head_norm = family_.head_norm;
    c.parallel_residual = read_parallel_residual();
    c.causal = file_.boolean(key("attention.causal")).value_or(family_.causal);
    c.seq_len = required_count("context_length", kMaxContext);
    c.dim = required_count("embedding_length", kMaxCount);
    blocks_ = required_count("block_count", kMaxLayers);
    // Layers that predict further tokens come last; the text does not need them, drafts need the first of them.
    c.n_layers = blocks_ - count("nextn_predict_layers", 0, blocks_ - 1).value_or(0);
    read_norm();
    read_rope();
    read_scales();
    if (family_.layer_inputs) {
      c.layer_input_dim = count("embedding_length_per_layer_input", 0, kMaxCount / c.n_layers).value_or(0);
    }
    read_layers();
    check_causal();
    read_pooling();
    refuse_other_keys();
    return std::move(c);
  }

 private:
  jit::Epilogue read_activation() const {
    if (!family_.activation_key) return family_.activation;
    const std::string_view name = file_.string(key("hidden_activation")).value_or("gelu");
    if (name == "silu") return jit::Epilogue::swiglu;
    if (name != "gelu") {
      file_.fail(key("hidden_activation"), "gelu or silu", fmt::format("'{}'", escaped(name)));
    }
    return family_.activation;
  }

  bool read_parallel_residual() const {
    const auto value = file_.boolean(key("use_parallel_residual"));
    if (family_.parallel != Parallel::by_key) {
      const bool always = family_.parallel == Parallel::always;
      if (value && *value != always) {
        file_.fail(key("use_parallel_residual"), fmt::to_string(always), fmt::to_string(*value));
      }
      return always;
    }
    if (!value) file_.fail(key("use_parallel_residual"), "true or false", "none");
    return *value;
  }

  void read_layers() {
    Config& c = config_;
    std::vector<LayerShape> layers(static_cast<std::size_t>(c.n_layers + (drafting_ ? 1 : 0)), c);
    read_heads(layers);
    read_latent(layers);
    read_windows(layers);
    read_experts(layers);
    read_delta(layers);
    if (drafting_) layers.back().delta = {};
    for (const LayerShape& layer : layers) check_heads(layer);
    share_kv(layers);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const int period = family_.unrotated_period;
      layers[i].rope.rotates = period == 0 || (static_cast<int>(i) + 1) % period != 0;
    }
    for (LayerShape& layer : layers) {
      layer.sinks = family_.sinks != Presence::none;
      layer.slopes = family_.slopes;
      layer.gated_attention = family_.gated_attention;
      layer.norms_values = family_.norms_values;
      if (c.n_layers == family_.wide_scores_layers) {
        layer.scores.scale =
            1.0F / std::sqrt(static_cast<float>(layer.dim) / static_cast<float>(layer.n_heads));
      }
    }
    if (drafting_) {
      layers.erase(layers.begin(), layers.end() - 1);
      c.n_layers = 1;
      c.takes_hidden = true;
    }
    static_cast<LayerShape&>(c) = layers.front();
    const bool alike = std::ranges::all_of(layers, [&](const LayerShape& l) { return l == layers.front(); });
    if (!alike) c.layers = std::move(layers);
  }

  static bool has_kv_for(const LayerShape& owner, const LayerShape& layer) {
    return owner.window == layer.window && owner.n_kv_heads == layer.n_kv_heads &&
           owner.head_dim() == layer.head_dim();
  }

  // The last layers see the keys and values of the last one before them that has a window, or none, as they do.
  void share_kv(std::vector<LayerShape>& layers) const {
    if (!family_.shares_kv) return;
    const int owners =
        config_.n_layers - count("attention.shared_kv_layers", 0, config_.n_layers - 1).value_or(0);
    for (int i = owners; i < config_.n_layers; ++i) {
      LayerShape& layer = layers[static_cast<std::size_t>(i)];
      for (int j = 0; j < owners; ++j) {
        if (has_kv_for(layers[static_cast<std::size_t>(j)], layer)) layer.kv_layer = j;
      }
      if (layer.kv_layer >= 0) continue;
      file_.fail(key("attention.shared_kv_layers"),
                 "for each of these layers one before with its window and its K/V heads",
                 fmt::format("none for layer {}", i));
    }
  }

  void read_heads(std::vector<LayerShape>& layers) const {
    const auto hidden = required_counts("feed_forward_length", kMaxCount);
    const auto heads = required_counts("attention.head_count", kMaxCount);
    const auto kv_heads = counts("attention.head_count_kv", 1, kMaxCount);
    const int head_size = count("attention.key_length", 1, kMaxCount).value_or(0);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      layers[i].hidden_dim = hidden[i];
      layers[i].n_heads = heads[i];
      layers[i].n_kv_heads = kv_heads.empty() ? heads[i] : kv_heads[i];
      layers[i].head_size = head_size;
    }
  }

  void read_windows(std::vector<LayerShape>& layers) const {
    if (family_.window_period == 0) return;
    const auto window = count("attention.sliding_window", 0, kMaxContext);
    if (!window && family_.window_period != kNoLayer) {
      file_.fail(key("attention.sliding_window"), fmt::format("an integer from 0 to {}", kMaxContext),
                 "none");
    }
    if (window.value_or(0) == 0) return;
    const std::vector<bool> windowed = windowed_layers();
    for (std::size_t i = 0; i < layers.size(); ++i) {
      if (!windowed[i]) continue;
      // An encoder's token sees half of it on either side, and itself.
      layers[i].window = config_.causal ? *window : 2 * (*window / 2) + 1;
      if (const auto size = count("attention.key_length_swa", 1, kMaxCount)) layers[i].head_size = *size;
      if (const auto dims = count("rope.dimension_count_swa", 1, kMaxCount)) layers[i].rope.dims = *dims;
      if (family_.window_rope_theta > 0) {
        layers[i].rope.scaling = RopeConfig::Scaling::none;
        layers[i].rope.factor = 1;
      }
      if (const auto theta = positive("rope.freq_base_swa")) {
        layers[i].rope.theta = *theta;
      } else if (family_.window_rope_theta > 0) {
        layers[i].rope.theta = family_.window_rope_theta;
      }
    }
  }

  // Either each layer says it itself, or all but one of each so many have a window.
  std::vector<bool> windowed_layers() const {
    constexpr std::string_view kName = "attention.sliding_window_pattern";
    const auto layers = static_cast<std::size_t>(blocks_);
    const GgufEntry* const entry = file_.find(key(kName));
    if (entry != nullptr && std::holds_alternative<GgufArray>(entry->value)) {
      return file_.booleans(key(kName), layers);
    }
    const int period = count(kName, 1, kMaxLayers).value_or(family_.window_period);
    std::vector<bool> windowed(layers);
    for (std::size_t i = 0; i < layers; ++i) {
      windowed[i] = static_cast<int>(i) % period != (family_.opens_periods ? 0 : period - 1);
    }
    return windowed;
  }

  void check_heads(const LayerShape& c) const {
    if (c.n_heads % c.n_kv_heads != 0) {
      file_.fail(key("attention.head_count_kv"), fmt::format("a divisor of head_count {}", c.n_heads),
                 fmt::to_string(c.n_kv_heads));
    }
    if (c.head_size == 0 && c.dim % c.n_heads != 0) {
      file_.fail(key("attention.head_count"), fmt::format("a divisor of embedding_length {}", c.dim),
                 fmt::to_string(c.n_heads));
    }
    const std::int64_t q_dim = std::int64_t{c.head_dim()} * c.n_heads;
    if (c.head_dim() % 2 != 0 || q_dim > kMaxCount) {
      file_.fail(key("attention.head_count"),
                 fmt::format("heads of an even size, {} values together at the most", kMaxCount),
                 fmt::format("{} heads of size {}", c.n_heads, c.head_dim()));
    }
    if (c.rope.dims % 2 != 0) {
      file_.fail(key("rope.dimension_count"), "an even number", fmt::to_string(c.rope.dims));
    }
    if (c.rope.dims > c.head_dim()) {
      file_.fail(key("rope.dimension_count"), fmt::format("at most a head's size, {}", c.head_dim()),
                 fmt::to_string(c.rope.dims));
    }
    const auto* const values = c.window > 0 && file_.find(key("attention.value_length_swa")) != nullptr
                                   ? "attention.value_length_swa"
                                   : "attention.value_length";
    if (const auto size = count(values, 1, kMaxCount); size && *size != c.head_dim() && !c.is_latent()) {
      file_.fail(key(values), fmt::format("the length of keys, {}", c.head_dim()), fmt::to_string(*size));
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
    rope.dims = count("rope.dimension_count", 1, kMaxCount).value_or(0);
    read_rope_scaling();
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
    // With this key, whatever its value, the rotation's magnitude and that of all dimensions cancel out.
    rope.magnifies = !positive("rope.scaling.yarn_log_multiplier");
    rope.query_growth = positive("attention.temperature_scale").value_or(0);
    if (const auto extrapolation = file_.number(key("rope.scaling.yarn_ext_factor"));
        extrapolation && *extrapolation != 1) {
      file_.fail(key("rope.scaling.yarn_ext_factor"), "1", fmt::to_string(*extrapolation));
    }
  }

  void read_scales() {
    Config& c = config_;
    const auto scale = [&](std::string_view name, Presence presence) {
      const auto value = presence == Presence::none ? std::nullopt : positive_or_zero(name);
      if (value && *value != 0) return *value;
      if (presence == Presence::needed) file_.fail(key(name), "a positive number", value ? "0" : "none");
      return 0.0F;
    };
    const auto or_one = [](float value) { return value == 0 ? 1.0F : value; };
    c.embedding_scale = family_.root_embedding ? std::sqrt(static_cast<float>(c.dim))
                                               : or_one(scale("embedding_scale", family_.stream_scales));
    c.residual_scale = or_one(scale("residual_scale", family_.stream_scales));
    const bool may_scale = family_.stream_scales != Presence::none;
    c.scores.scale = scale("attention.scale", may_scale ? Presence::optional : Presence::none);
    if (c.scores.scale == 0) c.scores.scale = family_.scores_scale;
    c.scores.cap = scale("attn_logit_softcapping", family_.soft_caps);
    c.logit_cap = scale("final_logit_softcapping", family_.soft_caps);
    if (family_.logit_scale == LogitScale::none) return;
    const float logits = scale("logit_scale", Presence::needed);
    c.logit_scale = family_.logit_scale == LogitScale::divides ? 1 / logits : logits;
  }

  // Encoders' tokens see later ones, which what is recurrent can't do; where a decoder's windows lie then, nobody says.
  // A family of encoders lacks what would predict a token.
  void check_causal() const {
    const Config& c = config_;
    const auto looks_back = [&](const LayerShape& layer) {
      return (layer.window > 0 && family_.causal) || layer.is_linear() ? 1 : 0;
    };
    if (c.causal ? !family_.causal : c.most(looks_back) > 0) {
      file_.fail(key("attention.causal"), fmt::to_string(!c.causal), fmt::to_string(c.causal));
    }
    // Their texts go through a layer as a whole: there is room for a row of each position.
    constexpr int kLongest = 1 << 17;
    if (!c.causal && c.seq_len > kLongest) {
      file_.fail(key("context_length"), fmt::format("at most {} of an encoder", kLongest),
                 fmt::to_string(c.seq_len));
    }
  }

  // As llama.cpp numbers them: none, mean, the first token (cls), the last one. Rankings (4) have a head of their own.
  void read_pooling() {
    constexpr std::optional<Pooling> kPoolings[] = {{}, Pooling::mean, Pooling::first, Pooling::last};
    config_.pooling = kPoolings[count("pooling_type", 0, 3).value_or(0)];
  }

  bool drafting_;
  Config config_;
};

}  // namespace

const Family& family_of(const GgufFile& file, std::span<const Family> known) {
  constexpr std::string_view kKey = "general.architecture";
  const auto name = file.string(kKey);
  if (name) {
    const auto found = std::ranges::find(known, *name, &Family::name);
    if (found != known.end()) return *found;
  }
  std::vector<std::string_view> names;
  for (const Family& family : known) names.push_back(family.name);
  file.fail(kKey, fmt::format("a supported family of models ({})", fmt::join(names, ", ")),
            name ? fmt::format("'{}'", escaped(*name)) : "none");
}

Config read_gguf_config(const GgufFile& file, const Family& family) {
  return ConfigReader(file, family, false).read();
}

std::optional<int> find_drafting_layer(const GgufFile& file, const Family& family) {
  return ConfigReader(file, family, true).find_drafting_layer();
}

Config read_drafting_config(const GgufFile& file, const Family& family) {
  return ConfigReader(file, family, true).read();
}

}  // namespace llamajit
