#include "runtime/forward/engine_setup.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "runtime/base/clock.h"
#include "runtime/forward/drafting_layer.h"

namespace llamajit {

// Matmul takes fewer instructions for each row and more for all; on avx2 it is the faster beyond eight
// (docs/performance.md).
std::span<const int> matvec_rows(jit::Isa isa) {
  static constexpr int kCounts[] = {4, 8, 16};
  return std::span(kCounts).first(isa.tier == jit::Tier::avx2 ? 2 : 3);
}

// So many rows that taking codes apart costs less than a tenth of multiplying with them, but where windows are kept, whose
// pages hold a step's rows, too. Of 128 experts and 8 for a token, each has 32 of 512 rows on average. A text of an encoder
// goes through each layer as a whole.
int rows_at_once(const Config& config, int context) {
  const bool has_experts = config.most([](const LayerShape& layer) { return layer.route.experts; }) > 0;
  const bool has_windows = config.most([](const LayerShape& layer) { return layer.window; }) > 0;
  const int rows = has_experts ? 512 : has_windows ? 128 : 256;
  return config.causal ? rows : std::max(rows, context);
}

jit::ElementType chosen_kv_type(const ModelFile& file, const EngineOptions& options) {
  const jit::Format format = file.layers.front().wq.format;
  const bool exact = !has_codes(format) && !as_pairs(format, options.precision.bf16);
  return options.precision.kv_type.value_or(exact ? jit::ElementType::f32 : jit::ElementType::f16);
}

Split split_of(const EngineOptions& options) {
  return options.ranks == nullptr ? Split() : split_between(*options.ranks, options.shares);
}

std::unique_ptr<Peers> peers_of(const EngineOptions& options) {
  if (options.ranks == nullptr) return nullptr;
  return std::make_unique<Peers>(Peers{*options.ranks, split_of(options)});
}

std::unique_ptr<Journal> journal_of(const EngineOptions& options) {
  if (options.ranks == nullptr || options.ranks->rank() > 0 || options.in_step) return nullptr;
  return std::make_unique<Journal>(*options.ranks);
}

Weights packed_weights(const ModelFile& file, Team& team, const EngineOptions& options, double& ms) {
  const auto start = Clock::now();
  const Bf16Products bf16 = options.precision.bf16;
  const Split split = split_of(options);
  const Weights* const model = weights_of_model(file, options);
  Weights weights = options.packed.empty() ? Weights(file, team, bf16, split, model)
                                           : Weights(file, options.packed, bf16, split);
  ms = 1e3 * seconds_since(start);
  return weights;
}

int chosen_context(const ModelFile& file, const EngineOptions& options) {
  const int asked = options.context;
  const Config& config = file.config;
  if (asked > config.seq_len) {
    throw std::runtime_error(
        fmt::format("{}: context: expected at most {} tokens (the model's seq_len), found {}", file.path(),
                    config.seq_len, asked));
  }
  const int context = asked > 0 ? asked : config.seq_len;
  const auto needed = static_cast<std::size_t>(context_bytes(
      config, context, chosen_kv_type(file, options), rows_at_once(config, context), split_of(options)));
  if (needed > physical_memory()) {
    throw std::runtime_error(
        fmt::format("{}: context: {} tokens need {} MiB for their KV cache, this machine has {} "
                    "MiB; choose a shorter one with -c",
                    file.path(), context, needed >> 20, physical_memory() >> 20));
  }
  return context;
}

}  // namespace llamajit
