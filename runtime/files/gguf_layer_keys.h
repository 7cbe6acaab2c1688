// The keys of what layers may have instead of plain attention and one feed-forward.
#pragma once

#include <vector>

#include "runtime/files/gguf_keys.h"
#include "runtime/model/config.h"

namespace llamajit {

// Errors are those of GgufKeys.
class GgufLayerKeys : public GgufKeys {
 public:
  using GgufKeys::GgufKeys;

 protected:
  // Far above any model, and low enough that products of two of them fit 64 bits and sums an int.
  static constexpr std::int64_t kMaxCount = 1 << 20;
  static constexpr std::int64_t kMaxLayers = 1 << 14;
  static constexpr std::int64_t kMaxContext = 1 << 24;

  // Layers have their heads and their hidden_dim before.
  void read_experts(std::vector<LayerShape>& layers) const;
  void read_delta(std::vector<LayerShape>& layers) const;
  void read_latent(std::vector<LayerShape>& layers) const;

 private:
  static constexpr std::int64_t kMaxExperts = 1 << 10;
  static constexpr std::int64_t kMaxTaps = 1 << 6;

  jit::RouteKey read_route(int experts) const;
  void read_groups(jit::RouteKey& route) const;
  LatentAttention read_latent(const RopeConfig& rope) const;
  int read_shared_hidden(int hidden) const;
};

}  // namespace llamajit
