#include "runtime/measure/kernel_work.h"

#include <algorithm>
#include <optional>

#include "jit/formats/packing.h"
#include "jit/kernels/kv_layout.h"

namespace llamajit {
namespace {

using jit::kLanes;

constexpr std::int64_t kFloat = sizeof(float);

// Codes, their scales, and a number for each subgroup.
std::int64_t prepared_bytes(const jit::InputFormat& format, std::int64_t n) {
  const int number = jit::subnumbers(format.group, format.subgroup, format.zero).bytes;
  return format.codes_bytes(n) + format.groups(n) * kFloat + format.subgroups(n) * number;
}

// A vector of n activations as matrices take it.
std::int64_t input_bytes(jit::Format format, std::int64_t n) {
  const std::optional<jit::InputFormat> input = input_format(format);
  return input ? prepared_bytes(*input, n) : n * kFloat;
}

// Rows [begin, end) of a product with one vector after another.
template <class Key, class Args>
KernelWork product(const Key& key, const Args& args, std::int64_t vectors) {
  const std::int64_t matrices = is_gated(key.epilogue) ? 2 : 1;
  const std::int64_t rows =
      std::min<std::int64_t>(args.unit_end * kLanes, key.rows) - args.unit_begin * kLanes;
  const std::int64_t weights =
      (args.unit_end - args.unit_begin) * matrices * jit::tile_bytes(key.format, key.cols);
  const std::int64_t out_accesses = key.epilogue == jit::Epilogue::add ? 2 : 1;
  const std::int64_t bias = key.affine.bias ? rows * kFloat : 0;
  return {weights + bias + vectors * (input_bytes(key.format, key.cols) + rows * kFloat * out_accesses),
          2 * rows * key.cols * matrices * vectors};
}

// A position takes this many bytes in a head's cache: keys, values and their scales.
template <class Key>
std::int64_t position_bytes(const Key& key) {
  const jit::KvLayout layout(key);
  const std::int64_t scales = std::int64_t{2} * layout.blocks() * layout.scales_bytes() / kLanes;
  return std::int64_t{2} * key.head_dim * layout.element_bytes() + scales;
}

// The first position that a token at `pos` sees.
std::int64_t first_seen(std::int64_t pos, int window) {
  return window > 0 ? std::max<std::int64_t>(0, pos - window + 1) : 0;
}

// Of the ranges of a part: the last range and every `parts` before it, from part 0 on.
std::int64_t positions_of_part(const jit::AttentionRangesKey& key, const jit::AttentionRangesArgs& args) {
  const std::int64_t first = first_seen(args.at->pos, key.window), end = args.at->pos + 1;
  std::int64_t positions = 0;
  for (std::int64_t range = args.at->pos / jit::kAttentionRange - args.part;
       range >= first / jit::kAttentionRange; range -= args.parts) {
    const std::int64_t begin = range * jit::kAttentionRange;
    positions += std::min(end, begin + jit::kAttentionRange) - std::max(begin, first);
  }
  return positions;
}

struct WorkOf {
  KernelWork operator()(const jit::EmbedKey& k, const jit::EmbedArgs& /*args*/) const {
    const std::int64_t accesses = k.adds() ? 2 : 1;
    const int flops = (has_codes(k.format) ? 1 : 0) + (k.scale != 1 ? 1 : 0) + (k.adds() ? 1 : 0);
    return {jit::tile_bytes(k.format, k.dim) / kLanes + k.dim * kFloat * accesses,
            std::int64_t{flops} * k.dim};
  }
  KernelWork operator()(const jit::NormKey& k, const jit::NormArgs& args) const {
    const bool layer = k.kind == jit::NormKind::layer;
    const std::int64_t weights = k.own_weights ? args.vectors : 1;
    const std::int64_t moved = (k.adds ? 3 : 2) * args.vectors + weights + (layer ? 1 : 0);
    return {moved * k.n * kFloat, args.vectors * ((layer ? 7 : 4) + (k.adds ? 1 : 0)) * k.n};
  }
  KernelWork operator()(const jit::QuantizeKey& k, const jit::QuantizeArgs& /*args*/) const {
    return {k.n * kFloat + prepared_bytes({false, k.group, k.subgroup, k.zero}, k.n), std::int64_t{3} * k.n};
  }
  KernelWork operator()(const jit::RoundKey& k, const jit::QuantizeArgs& /*args*/) const {
    return {k.n * kFloat + jit::rounded_bytes(k.n), k.n};
  }
  KernelWork operator()(const jit::MatvecKey& k, const jit::MatvecArgs& args) const {
    return product(k, args, k.tokens);
  }
  KernelWork operator()(const jit::MatmulKey& k, const jit::MatmulArgs& args) const {
    return product(k, args, args.n_tokens);
  }
  KernelWork operator()(const jit::RopeKey& k, const jit::RopeArgs& args) const {
    const std::int64_t values = args.n_heads * k.head_dim;
    return {args.n_tokens * 2 * (values + k.head_dim) * kFloat, args.n_tokens * 3 * values};
  }
  KernelWork operator()(const jit::KvAppendKey& k, const jit::KvAppendArgs& args) const {
    return {args.n_tokens * args.n_kv_heads * (2 * k.head_dim * kFloat + position_bytes(k)), 0};
  }
  KernelWork operator()(const jit::AttentionKey& k, const jit::AttentionArgs& args) const {
    const std::int64_t before = args.at->pos - jit::first_seen(k, *args.at);
    const std::int64_t own = k.causal ? k.tokens : 1;
    const std::int64_t read = before + own;
    // Of several, each token may see one position more than the one before it.
    const std::int64_t seen = k.tokens * before + (k.causal ? own * (own + 1) / 2 : k.tokens);
    return {args.n_kv_heads * (read * position_bytes(k) + 2 * k.rows() * k.head_dim * kFloat),
            args.n_kv_heads * k.group * seen * (std::int64_t{4} * k.head_dim + 5)};
  }
  KernelWork operator()(const jit::AttentionRangesKey& k, const jit::AttentionRangesArgs& args) const {
    const std::int64_t positions = positions_of_part(k, args);
    const std::int64_t ranges = jit::divide_up(positions, jit::kAttentionRange);
    const std::int64_t moved = k.head_dim + ranges * jit::attention_record(k.head_dim);
    return {positions * position_bytes(k) + k.group * moved * kFloat,
            k.group * positions * (std::int64_t{4} * k.head_dim + 5)};
  }
  KernelWork operator()(const jit::AttentionMergeKey& k, const jit::AttentionMergeArgs& args) const {
    const std::int64_t ranges =
        args.at->pos / jit::kAttentionRange - first_seen(args.at->pos, k.window) / jit::kAttentionRange + 1;
    const std::int64_t moved = k.head_dim + ranges * jit::attention_record(k.head_dim);
    return {args.n_heads * moved * kFloat, args.n_heads * ranges * std::int64_t{3} * k.head_dim};
  }
  KernelWork operator()(const jit::SoftmaxKey& k, const jit::SoftmaxArgs& /*args*/) const {
    return {2 * k.n * kFloat, std::int64_t{5} * k.n};
  }
  KernelWork operator()(const jit::CapKey& /*key*/, const jit::CapArgs& args) const {
    return {2 * (args.end - args.begin) * kFloat, 6 * (args.end - args.begin)};
  }
  KernelWork operator()(const jit::ArgmaxKey& /*key*/, const jit::ArgmaxArgs& args) const {
    return {(args.end - args.begin) * kFloat, args.end - args.begin};
  }
  KernelWork operator()(const jit::RouteKey& k, const jit::RouteArgs& /*args*/) const {
    return {k.experts * kFloat * (k.biased ? 2 : 1) + k.slots() * 2 * kFloat,
            std::int64_t{k.used + 5} * k.experts};
  }
  KernelWork operator()(const jit::MixKey& k, const jit::MixArgs& args) const {
    return {(k.vectors + 2) * (args.end - args.begin) * kFloat, 2 * k.vectors * (args.end - args.begin)};
  }
  KernelWork operator()(const jit::CopyKey& k, const jit::CopyArgs& /*args*/) const {
    return {2 * k.n * kFloat, 0};
  }
  KernelWork operator()(const jit::ConvKey& k, const jit::ConvArgs& args) const {
    const std::int64_t channels = args.end - args.begin;
    const std::int64_t moved = k.taps + 2 * (k.taps - 1) + 2 * args.n_tokens;  // weights, state, vectors
    return {moved * channels * kFloat, args.n_tokens * (2 * k.taps + 3) * channels};
  }
  KernelWork operator()(const jit::DecayKey& k, const jit::DecayArgs& /*args*/) const {
    return {6 * k.heads * kFloat, std::int64_t{9} * k.heads};
  }
  KernelWork operator()(const jit::DeltaKey& k, const jit::DeltaArgs& args) const {
    const std::int64_t vectors = 2 * (std::int64_t{k.key_dim} + k.value_dim + 1);  // and two gates
    return {(2 * k.state_floats() + args.n_tokens * vectors) * kFloat,
            args.n_tokens * (std::int64_t{7} * k.key_dim + 2) * k.value_dim};
  }
  KernelWork operator()(const jit::GateKey& /*key*/, const jit::GateArgs& args) const {
    return {3 * (args.end - args.begin) * kFloat, 4 * (args.end - args.begin)};
  }
  // No plan calls them.
  template <jit::LessonKey Key>
  KernelWork operator()(const Key& /*key*/, const typename Key::Args& /*args*/) const {
    return {};
  }
};

}  // namespace

KernelWork work_of(const jit::KernelKey& key, const void* args) {
  return std::visit(
      [&]<class Key>(const Key& k) { return WorkOf{}(k, *static_cast<const typename Key::Args*>(args)); },
      key);
}

}  // namespace llamajit
