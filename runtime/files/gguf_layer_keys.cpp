#include "runtime/files/gguf_layer_keys.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "jit/base/lanes.h"

namespace llamajit {

void GgufLayerKeys::read_experts(std::vector<LayerShape>& layers) const {
  const FamilyExperts& family = family_.experts;
  if (family.presence == Presence::none) return;
  const int experts = count("expert_count", 0, kMaxExperts).value_or(0);
  if (experts == 0 && family.presence == Presence::optional) return;
  if (experts == 0) file_.fail(key("expert_count"), fmt::format("1 to {}", kMaxExperts), "none");
  const jit::RouteKey route = read_route(experts);
  const int hidden = count("expert_feed_forward_length", 1, kMaxCount).value_or(0);
  const int shared = read_shared_hidden(hidden > 0 ? hidden : layers.front().hidden_dim);
  const int step = count("interleave_moe_layer_step", 1, kMaxLayers).value_or(1);
  if (step != 1) file_.fail(key("interleave_moe_layer_step"), "1", fmt::to_string(step));
  const int dense = count("leading_dense_block_count", 0, blocks_).value_or(0);
  for (auto i = static_cast<std::size_t>(dense); i < layers.size(); ++i) {
    LayerShape& layer = layers[i];
    layer.route = route;
    layer.route.biased = family.choice_bias != Presence::none &&
                         file_.find_tensor(fmt::format("blk.{}.exp_probs_b.bias", i)) != nullptr;
    const int feed_forward = hidden > 0 ? std::exchange(layer.hidden_dim, hidden) : layer.hidden_dim;
    layer.shared_hidden_dim = family.beside ? feed_forward : shared;
    layer.route.scaled = layer.norms_experts = family.beside;
    layer.route.shared = shared == 0           ? jit::SharedExpert::none
                         : family.gates_shared ? jit::SharedExpert::gated
                                               : jit::SharedExpert::plain;
    // Experts' matrices lie one behind the other in whole tiles.
    for (const int rows : {layer.hidden_dim, layer.dim}) {
      if (rows % jit::kLanes != 0) {
        file_.fail(key("expert_count"),
                   fmt::format("experts whose matrices have multiples of {} rows", jit::kLanes),
                   fmt::to_string(rows));
      }
    }
  }
}

jit::RouteKey GgufLayerKeys::read_route(int experts) const {
  jit::RouteKey route{experts, 0, family_.experts.gating};
  route.used = count("expert_used_count", 1, experts).value_or(0);
  if (route.used == 0) {
    file_.fail(key("expert_used_count"), fmt::format("an integer from 1 to {}", experts), "none");
  }
  const auto gating = count("expert_gating_func", 0, 3).value_or(0);
  constexpr jit::Gating kGatings[] = {jit::Gating::softmax, jit::Gating::sigmoid,
                                      jit::Gating::softmax_of_chosen};
  if (gating > 0) route.gating = kGatings[gating - 1];
  route.renormalises = file_.boolean(key("expert_weights_norm")).value_or(family_.experts.renormalises);
  const float scale = positive_or_zero("expert_weights_scale").value_or(0);
  if (scale != 0) route.scale = scale;
  read_groups(route);
  return route;
}
void GgufLayerKeys::read_groups(jit::RouteKey& route) const {
  const int groups = count("expert_group_count", 0, kMaxExperts).value_or(0);
  if (groups > 1 && (route.experts % groups != 0 || route.experts / groups < 2)) {
    file_.fail(key("expert_group_count"),
               fmt::format("groups of equally many of {} experts, two at least", route.experts),
               fmt::to_string(groups));
  }
  const int used = count("expert_group_used_count", 0, std::max(groups, 1)).value_or(0);
  if (groups <= 1 || used == 0 || used == groups) return;
  if (used * (route.experts / groups) < route.used) {
    file_.fail(key("expert_group_used_count"),
               fmt::format("groups that have the {} experts used, or more", route.used),
               fmt::to_string(used));
  }
  route.groups = groups;
  route.groups_used = used;
  // As DeepSeek V2 has it; V3 and those after it take the sigmoid, and the two best.
  route.by_best = route.gating == jit::Gating::softmax;
}
int GgufLayerKeys::read_shared_hidden(int hidden) const {
  const int shared = count("expert_shared_count", 0, kMaxExperts).value_or(0);
  if (const auto all = count("expert_shared_feed_forward_length", 0, kMaxCount)) return *all;
  if (shared > 0) return shared * hidden;
  if (family_.experts.shared != Presence::needed) return 0;
  file_.fail(key("expert_shared_feed_forward_length"), fmt::format("an integer from 1 to {}", kMaxCount),
             "none");
}

void GgufLayerKeys::read_delta(std::vector<LayerShape>& layers) const {
  if (family_.delta.attention_period == 0) return;
  const int period = count("full_attention_interval", 1, kMaxLayers).value_or(family_.delta.attention_period);
  DeltaNet delta;
  delta.key_heads = required_count("ssm.group_count", kMaxCount);
  delta.value_heads = required_count("ssm.time_step_rank", kMaxCount);
  delta.key_dim = required_count("ssm.state_size", kMaxCount);
  delta.value_dim = delta.key_dim;
  delta.taps = required_count("ssm.conv_kernel", kMaxTaps);
  delta.adjacent = family_.delta.adjacent;
  if (delta.value_heads % delta.key_heads != 0) {
    file_.fail(key("ssm.time_step_rank"), fmt::format("a multiple of group_count {}", delta.key_heads),
               fmt::to_string(delta.value_heads));
  }
  const std::int64_t values = std::int64_t{delta.value_heads} * delta.value_dim;
  if (delta.key_dim % jit::kLanes != 0 || values > kMaxCount) {
    file_.fail(key("ssm.state_size"),
               fmt::format("a multiple of {}, {} values of all heads at the most", jit::kLanes, kMaxCount),
               fmt::format("{} heads of size {}", delta.value_heads, delta.value_dim));
  }
  if (const int inner = required_count("ssm.inner_size", kMaxCount); inner != values) {
    file_.fail(key("ssm.inner_size"), fmt::format("time_step_rank * state_size, {}", values),
               fmt::to_string(inner));
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if ((static_cast<int>(i) + 1) % period != 0) layers[i].delta = delta;
  }
}

// Files have a head's sizes, or beside them those of what is kept.
LatentAttention GgufLayerKeys::read_latent(const RopeConfig& rope) const {
  LatentAttention latent;
  latent.rank = required_count("attention.kv_lora_rank", kMaxCount);
  latent.query_rank = count("attention.q_lora_rank", 0, kMaxCount).value_or(0);
  const bool says_both = file_.find(key("attention.key_length_mla")) != nullptr;
  const int kept = required_count("attention.key_length", kMaxCount);
  const int kept_values = required_count("attention.value_length", kMaxCount);
  const int size = says_both ? required_count("attention.key_length_mla", kMaxCount) : kept;
  latent.value_dim = says_both ? required_count("attention.value_length_mla", kMaxCount) : kept_values;
  latent.key_dim = size - rope.dims;
  if (rope.dims == 0 || latent.key_dim <= 0) {
    file_.fail(key("rope.dimension_count"), fmt::format("an integer from 1 to {}", size - 1),
               fmt::to_string(rope.dims));
  }
  if (latent.rank % jit::kLanes != 0 || latent.value_dim % jit::kLanes != 0) {
    file_.fail(key("attention.kv_lora_rank"),
               fmt::format("a rank and values of heads that are multiples of {}", jit::kLanes),
               fmt::format("{} and {}", latent.rank, latent.value_dim));
  }
  if (says_both && (kept != latent.rank + rope.dims || kept_values != latent.rank)) {
    file_.fail(key("attention.key_length"),
               fmt::format("kv_lora_rank and rope.dimension_count together, {}, and values of kv_lora_rank",
                           latent.rank + rope.dims),
               fmt::format("{}, and {}", kept, kept_values));
  }
  return latent;
}

void GgufLayerKeys::read_latent(std::vector<LayerShape>& layers) const {
  if (!family_.latent) return;
  const LatentAttention latent = read_latent(layers.front().rope);
  const float growth = positive("rope.scaling.yarn_log_multiplier").value_or(0);
  for (LayerShape& layer : layers) {
    if (layer.n_kv_heads != 1 && layer.n_kv_heads != layer.n_heads) {
      file_.fail(key("attention.head_count_kv"), fmt::format("head_count {}, or 1", layer.n_heads),
                 fmt::to_string(layer.n_kv_heads));
    }
    layer.latent = latent;
    layer.n_kv_heads = 1;
    layer.head_size = layer.rope.dims + latent.rank;
    // Where YaRN scales, the rotation's magnitude goes into the scores, which all dimensions make.
    layer.rope.magnifies = false;
    const float magnitude = 1 + growth * std::log(layer.rope.factor);
    layer.scores.scale = magnitude * magnitude / std::sqrt(static_cast<float>(layer.query_size()));
    const std::int64_t heads = layer.n_heads;
    if (heads * std::max(layer.query_size(), latent.value_dim) > kMaxCount) {
      file_.fail(key("attention.head_count"), fmt::format("heads of {} values at the most", kMaxCount),
                 fmt::format("{} heads", heads));
    }
  }
}

}  // namespace llamajit
