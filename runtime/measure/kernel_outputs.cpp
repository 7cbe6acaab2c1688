#include "runtime/measure/kernel_outputs.h"

#include <algorithm>
#include <set>

#include "jit/kernels/kv_layout.h"

namespace llamajit {
namespace {

using jit::kLanes;

struct Outputs {
  std::vector<Output> operator()(const jit::EmbedKey& key, const jit::EmbedArgs& args) const {
    return {{Output::Type::f32, args.out, key.dim}};
  }
  std::vector<Output> operator()(const jit::NormKey& key, const jit::NormArgs& args) const {
    return {{Output::Type::f32, args.out, args.vectors * key.n}};
  }
  std::vector<Output> operator()(const jit::QuantizeKey& key, const jit::QuantizeArgs& args) const {
    const std::int64_t groups = key.n / key.group;
    return {{Output::Type::s8, args.out.codes, groups * jit::round_up(key.group, 4)},
            {Output::Type::f32, args.out.scales, groups},
            key.zero > 0        ? Output{Output::Type::i32, args.out.offsets, key.n / key.subgroup}
            : key.has_subsums() ? Output{Output::Type::s16, args.out.subsums, key.n / key.subgroup}
                                : Output{Output::Type::f32, args.out.sums, groups}};
  }
  std::vector<Output> operator()(const jit::RoundKey& key, const jit::QuantizeArgs& args) const {
    return {{Output::Type::bf16, args.out.codes, jit::rounded_bytes(key.n) / 2}};
  }
  std::vector<Output> operator()(const jit::MatvecKey& key, const jit::MatvecArgs& args) const {
    return products(key, args, key.tokens);
  }
  std::vector<Output> operator()(const jit::MatmulKey& key, const jit::MatmulArgs& args) const {
    return products(key, args, args.n_tokens);
  }
  std::vector<Output> operator()(const jit::RopeKey& key, const jit::RopeArgs& args) const {
    std::vector<Output> outputs;
    for (std::int64_t t = 0; t < args.n_tokens; ++t) {
      outputs.push_back({Output::Type::f32, args.out + t * args.token_stride, args.n_heads * key.head_dim});
    }
    return outputs;
  }
  std::vector<Output> operator()(const jit::KvAppendKey& key, const jit::KvAppendArgs& args) const {
    const jit::KvLayout layout(key);
    std::vector<Output> outputs;
    std::set<const std::byte*> seen;  // sixteen positions' keys that several tokens write to
    for (std::int64_t t = 0; t < args.n_tokens; ++t) {
      const jit::Cursor& at = args.at[t];
      std::byte* const page = at.pages[at.pos / jit::kKvPage];
      const std::int64_t pos = at.pos % jit::kKvPage;
      for (std::int64_t head = 0; head < args.n_kv_heads; ++head) {
        std::byte* const keys = page + args.keys_at + head * layout.keys_bytes();
        add_value(layout, page + args.values_at + head * layout.values_bytes(), pos, outputs);
        const std::int64_t group = pos / kLanes * kLanes;
        if (seen.insert(keys + layout.key_at(group, 0)).second) add_keys(layout, keys, group, outputs);
      }
    }
    return outputs;
  }
  std::vector<Output> operator()(const jit::AttentionKey& key, const jit::AttentionArgs& args) const {
    std::vector<Output> outputs;
    outputs.reserve(static_cast<std::size_t>(key.tokens));
    for (int t = 0; t < key.tokens; ++t) {
      outputs.push_back({Output::Type::f32, args.out + std::ptrdiff_t{t} * key.token_stride,
                         args.n_kv_heads * key.group * key.head_dim});
    }
    return outputs;
  }
  std::vector<Output> operator()(const jit::AttentionRangesKey& key,
                                 const jit::AttentionRangesArgs& args) const {
    const std::int64_t record = jit::attention_record(key.head_dim);
    std::vector<Output> outputs;
    for (int head = 0; head < key.group; ++head) {
      const std::int64_t first = key.window > 0 ? std::max(0, args.at->pos - key.window + 1) : 0;
      for (std::int64_t range = args.at->pos / jit::kAttentionRange - args.part;
           range >= first / jit::kAttentionRange; range -= args.parts) {
        float* const at = args.records + (std::int64_t{head} * key.ranges + range) * record;
        outputs.push_back({Output::Type::f32, at, key.head_dim});
        outputs.push_back({Output::Type::f32, at + jit::round_up(key.head_dim, kLanes), 2});
      }
    }
    return outputs;
  }
  std::vector<Output> operator()(const jit::AttentionMergeKey& key,
                                 const jit::AttentionMergeArgs& args) const {
    return {{Output::Type::f32, args.out, args.n_heads * key.head_dim}};
  }
  std::vector<Output> operator()(const jit::SoftmaxKey& key, const jit::SoftmaxArgs& args) const {
    return {{Output::Type::f32, args.x, key.n}};
  }
  std::vector<Output> operator()(const jit::CapKey& /*key*/, const jit::CapArgs& args) const {
    return {{Output::Type::f32, args.x + args.begin, args.end - args.begin}};
  }
  std::vector<Output> operator()(const jit::ArgmaxKey& /*key*/, const jit::ArgmaxArgs& args) const {
    return {{Output::Type::f32, &args.best->value, 1}, {Output::Type::i32, &args.best->index, 1}};
  }
  std::vector<Output> operator()(const jit::RouteKey& key, const jit::RouteArgs& args) const {
    return {{Output::Type::i32, args.ids, key.used}, {Output::Type::f32, args.weights, key.slots()}};
  }
  std::vector<Output> operator()(const jit::MixKey& /*key*/, const jit::MixArgs& args) const {
    return {{Output::Type::f32, args.out + args.begin, args.end - args.begin}};
  }
  std::vector<Output> operator()(const jit::CopyKey& key, const jit::CopyArgs& args) const {
    return {{Output::Type::f32, args.out, key.n}};
  }
  std::vector<Output> operator()(const jit::ConvKey& key, const jit::ConvArgs& args) const {
    const std::int64_t channels = args.end - args.begin;
    float* const state = state_of(*args.at, args.state_at) + args.begin;
    std::vector<Output> outputs;
    for (std::int64_t t = 0; t < args.n_tokens; ++t) {
      outputs.push_back({Output::Type::f32, args.out + t * args.token_stride + args.begin, channels});
    }
    for (int tap = 0; tap < key.taps - 1; ++tap) {
      outputs.push_back({Output::Type::f32, state + tap * jit::row_stride(key.channels), channels});
    }
    return outputs;
  }
  std::vector<Output> operator()(const jit::DecayKey& key, const jit::DecayArgs& args) const {
    return {{Output::Type::f32, args.decay, key.heads}, {Output::Type::f32, args.rate, key.heads}};
  }
  std::vector<Output> operator()(const jit::DeltaKey& key, const jit::DeltaArgs& args) const {
    std::vector<Output> outputs = {
        {Output::Type::f32, state_of(*args.at, args.state_at), key.state_floats()}};
    for (std::int64_t t = 0; t < args.n_tokens; ++t) {
      outputs.push_back({Output::Type::f32, args.out + t * args.out_stride, key.value_dim});
    }
    return outputs;
  }
  std::vector<Output> operator()(const jit::GateKey& /*key*/, const jit::GateArgs& args) const {
    return {{Output::Type::f32, args.out + args.begin, args.end - args.begin}};
  }
  // No plan calls them.
  template <jit::LessonKey Key>
  std::vector<Output> operator()(const Key& /*key*/, const typename Key::Args& /*args*/) const {
    return {};
  }

 private:
  // What a sequence remembers, from so many bytes on.
  static float* state_of(const jit::Cursor& at, std::int64_t state_at) {
    return reinterpret_cast<float*>(at.state + state_at);
  }
  // Of units of a matrix and so many tokens.
  template <class Key, class Args>
  static std::vector<Output> products(const Key& key, const Args& args, std::int64_t tokens) {
    const std::int64_t begin = args.unit_begin * kLanes;
    std::vector<Output> outputs;
    for (std::int64_t t = 0; t < tokens; ++t) {
      outputs.push_back({Output::Type::f32, args.out + t * jit::row_stride(key.rows) + begin,
                         std::min<std::int64_t>(args.unit_end * kLanes, key.rows) - begin});
    }
    return outputs;
  }
  static Output::Type element(const jit::KvLayout& layout) {
    switch (layout.type) {
      case jit::ElementType::f32:
        return Output::Type::f32;
      case jit::ElementType::f16:
        return Output::Type::f16;
      case jit::ElementType::bf16:
        return Output::Type::bf16;
      case jit::ElementType::q8_0:
        return Output::Type::s8;
    }
    return Output::Type::s8;
  }
  // The keys of sixteen positions from `pos` on.
  static void add_keys(const jit::KvLayout& layout, std::byte* keys, std::int64_t pos,
                       std::vector<Output>& outputs) {
    for (int block = 0; block < layout.blocks(); ++block) {
      const int first = block * layout.block_dims();
      const int dims = std::min(layout.block_dims(), layout.head_dim - first);
      outputs.push_back({element(layout), keys + layout.key_at(pos, first), std::int64_t{dims} * kLanes});
      if (!layout.scaled()) continue;
      outputs.push_back({Output::Type::f32, keys + layout.key_scale_at(pos, block), kLanes});
    }
  }
  // The values of one position.
  static void add_value(const jit::KvLayout& layout, std::byte* values, std::int64_t pos,
                        std::vector<Output>& outputs) {
    outputs.push_back(
        {element(layout), values + layout.value_at(pos, 0), jit::round_up(layout.head_dim, kLanes)});
    for (int block = 0; layout.scaled() && block < layout.blocks(); ++block) {
      outputs.push_back({Output::Type::f32, values + layout.value_scale_at(pos, block), 1});
    }
  }
};

}  // namespace

std::vector<Output> outputs_of(const jit::KernelKey& key, const void* args) {
  return std::visit(
      [&]<class Key>(const Key& k) { return Outputs{}(k, *static_cast<const typename Key::Args*>(args)); },
      key);
}

}  // namespace llamajit
