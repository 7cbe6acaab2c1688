#include "runtime/files/gguf_config.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

// Far above any model, and low enough that products of two of them fit 64 bits and sums an int.
constexpr std::int64_t kMaxCount = 1 << 20;
constexpr std::int64_t kMaxLayers = 1 << 14;
constexpr std::int64_t kMaxContext = 1 << 24;

class ConfigReader {
 public:
  ConfigReader(const GgufFile& file, const Family& family) : file_(file), family_(family) {}

  Config read() {
    Config& c = config_;
    c.norm = family_.norm;
    c.activation = family_.activation;
    c.rope.pairs = family_.pairs;
    if (family_.may_be_parallel) c.parallel_residual = read_parallel_residual();
    c.seq_len = required_count("context_length", kMaxContext);
    c.dim = required_count("embedding_length", kMaxCount);
    c.n_layers = required_count("block_count", kMaxLayers);
    read_norm();
    read_rope();
    refuse_experts();
    read_layers();
    return std::move(c);
  }

 private:
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

  // One number for all layers, or an array with each layer's; nothing where the file has neither.
  std::vector<int> counts(std::string_view name, std::int64_t low, std::int64_t high) const {
    std::vector<int> values;
    const auto layers = static_cast<std::size_t>(config_.n_layers);
    for (const std::int64_t value : file_.integers(key(name), low, high, layers)) {
      values.push_back(static_cast<int>(value));
    }
    return values;
  }
  std::vector<int> required_counts(std::string_view name, std::int64_t high) const {
    std::vector<int> values = counts(name, 1, high);
    if (values.empty()) {
      file_.fail(key(name), fmt::format("an integer from 1 to {}, or one for each layer", high), "none");
    }
    return values;
  }

  bool read_parallel_residual() const {
    const auto value = file_.boolean(key("use_parallel_residual"));
    if (!value) file_.fail(key("use_parallel_residual"), "true or false", "none");
    return *value;
  }

  void refuse_experts() const {
    const int experts = count("expert_count", 0, kMaxCount).value_or(0);
    if (experts == 0) return;
    file_.fail(key("expert_count"), "0 (mixtures of experts are not supported)", fmt::to_string(experts));
  }

  void read_layers() {
    Config& c = config_;
    std::vector<LayerShape> layers(static_cast<std::size_t>(c.n_layers), c);
    read_heads(layers);
    read_windows(layers);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const int period = family_.unrotated_period;
      layers[i].rope.rotates = period == 0 || (static_cast<int>(i) + 1) % period != 0;
    }
    for (const LayerShape& layer : layers) check_heads(layer);
    static_cast<LayerShape&>(c) = layers.front();
    const bool alike = std::ranges::all_of(layers, [&](const LayerShape& l) { return l == layers.front(); });
    if (!alike) c.layers = std::move(layers);
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
    const int window = required_count("attention.sliding_window", kMaxContext);
    const std::vector<bool> windowed = windowed_layers();
    for (std::size_t i = 0; i < layers.size(); ++i) {
      if (!windowed[i]) continue;
      layers[i].window = window;
      if (const auto theta = positive("rope.freq_base_swa")) {
        layers[i].rope.theta = *theta;
      } else if (family_.window_rope_theta > 0) {
        layers[i].rope.theta = family_.window_rope_theta;
      }
    }
  }

  // Either each layer says it itself, or all but each so many'th have a window.
  std::vector<bool> windowed_layers() const {
    constexpr std::string_view kName = "attention.sliding_window_pattern";
    const auto layers = static_cast<std::size_t>(config_.n_layers);
    const GgufEntry* const entry = file_.find(key(kName));
    if (entry != nullptr && std::holds_alternative<GgufArray>(entry->value)) {
      return file_.booleans(key(kName), layers);
    }
    const int period = count(kName, 1, kMaxLayers).value_or(family_.window_period);
    std::vector<bool> windowed(layers);
    for (std::size_t i = 0; i < layers; ++i) {
      windowed[i] = static_cast<int>(i) % period < period - 1;
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
    if (c.rope.dims > c.head_dim()) {
      file_.fail(key("rope.dimension_count"), fmt::format("at most a head's size, {}", c.head_dim()),
                 fmt::to_string(c.rope.dims));
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
    if (const auto dims = count("rope.dimension_count", 1, kMaxCount)) {
      if (*dims % 2 != 0) file_.fail(key("rope.dimension_count"), "an even number", fmt::to_string(*dims));
      rope.dims = *dims;
    }
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
    if (const auto extrapolation = file_.number(key("rope.scaling.yarn_ext_factor"));
        extrapolation && *extrapolation != 1) {
      file_.fail(key("rope.scaling.yarn_ext_factor"), "1", fmt::to_string(*extrapolation));
    }
  }

  const GgufFile& file_;
  const Family& family_;
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
  return ConfigReader(file, family).read();
}

}  // namespace llamajit
