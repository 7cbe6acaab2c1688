#include "runtime/measure/verify.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "jit/base/scalar_math.h"
#include "jit/kernels/kv_layout.h"

namespace llamajit {
namespace {

using jit::kLanes;

// A run of values that a kernel writes.
struct Output {
  enum class Type { f32, i32, u16, s8 };
  Type type;
  void* data;
  std::int64_t count;

  std::int64_t size() const { return type == Type::s8 ? 1 : type == Type::u16 ? 2 : 4; }  // of one value
  std::size_t bytes() const { return static_cast<std::size_t>(count * size()); }
};

// Which memory a call writes; the scratch that it leaves behind is not meant.
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
            : key.has_subsums() ? Output{Output::Type::u16, args.out.subsums, key.n / key.subgroup}
                                : Output{Output::Type::f32, args.out.sums, groups}};
  }
  std::vector<Output> operator()(const jit::RoundKey& key, const jit::QuantizeArgs& args) const {
    return {{Output::Type::u16, args.out.codes, jit::rounded_bytes(key.n) / 2}};
  }
  std::vector<Output> operator()(const jit::MatvecKey& key, const jit::MatvecArgs& args) const {
    return product(key, args, key.tokens);
  }
  std::vector<Output> operator()(const jit::MatmulKey& key, const jit::MatmulArgs& args) const {
    return product(key, args, args.n_tokens);
  }
  template <class Key, class Args>
  static std::vector<Output> product(const Key& key, const Args& args, std::int64_t n_tokens) {
    const std::int64_t begin = args.unit_begin * kLanes;
    const std::int64_t rows = std::min<std::int64_t>(args.unit_end * kLanes, key.rows) - begin;
    std::vector<Output> outputs;
    for (std::int64_t t = 0; t < n_tokens; ++t) {
      outputs.push_back({Output::Type::f32, args.out + t * jit::row_stride(key.rows) + begin, rows});
    }
    return outputs;
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
    for (std::int64_t head = 0; head < args.n_kv_heads; ++head) {
      std::byte* const keys = args.k_cache + head * layout.keys_bytes();
      std::byte* const values = args.v_cache + head * layout.values_bytes();
      const std::int64_t end = args.at->pos + args.n_tokens;
      for (std::int64_t pos = args.at->pos; pos < end; ++pos) add_value(layout, values, pos, outputs);
      for (std::int64_t pos = args.at->pos / kLanes * kLanes; pos < end; pos += kLanes) {
        add_keys(layout, keys, pos, outputs);
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
      for (std::int64_t range = args.at->pos / jit::kAttentionRange - args.part; range >= 0;
           range -= args.parts) {
        float* const at = args.records + (head * jit::attention_ranges(key.seq_len) + range) * record;
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
  std::vector<Output> operator()(const jit::ArgmaxKey& /*key*/, const jit::ArgmaxArgs& args) const {
    return {{Output::Type::f32, &args.best->value, 1}, {Output::Type::i32, &args.best->index, 1}};
  }
  // No plan calls them.
  template <jit::LessonKey Key>
  std::vector<Output> operator()(const Key& /*key*/, const typename Key::Args& /*args*/) const {
    return {};
  }

 private:
  static Output::Type element(const jit::KvLayout& layout) {
    switch (layout.type) {
      case jit::ElementType::f32:
        return Output::Type::f32;
      case jit::ElementType::f16:
      case jit::ElementType::bf16:
        return Output::Type::u16;
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

std::vector<Output> outputs_of(const jit::KernelKey& key, const void* args) {
  return std::visit(
      [&]<class Key>(const Key& k) { return Outputs{}(k, *static_cast<const typename Key::Args*>(args)); },
      key);
}

std::vector<std::byte> save(const std::vector<Output>& outputs) {
  std::vector<std::byte> bytes;
  for (const Output& output : outputs) {
    const auto* data = static_cast<const std::byte*>(output.data);
    bytes.insert(bytes.end(), data, data + output.bytes());
  }
  return bytes;
}

void restore(const std::vector<Output>& outputs, const std::byte* from) {
  for (const Output& output : outputs) {
    std::memcpy(output.data, from, output.bytes());
    from += output.bytes();
  }
}

template <class T>
double value_at(const std::byte* bytes, std::int64_t i) {
  T value;
  std::memcpy(&value, bytes + i * static_cast<std::int64_t>(sizeof value), sizeof value);
  return static_cast<double>(value);
}

double value_at(Output::Type type, const std::byte* bytes, std::int64_t i) {
  switch (type) {
    case Output::Type::f32:
      return value_at<float>(bytes, i);
    case Output::Type::i32:
      return value_at<std::int32_t>(bytes, i);
    case Output::Type::u16:
      return value_at<std::uint16_t>(bytes, i);  // the bits of a 16-bit float
    case Output::Type::s8:
      return value_at<std::int8_t>(bytes, i);
  }
  return 0;
}

// Adds the comparison of `generated` with what stands in the output now, the twin's.
void compare(const Output& output, const std::byte* generated, VerifyRow& row) {
  const auto* twin = static_cast<const std::byte*>(output.data);
  const std::int64_t size = output.size();
  double largest = 0;
  double error = 0;
  for (std::int64_t i = 0; i < output.count; ++i) {
    const double expected = value_at(output.type, twin, i);
    largest = std::max(largest, std::abs(expected));
    if (std::memcmp(twin + i * size, generated + i * size, static_cast<std::size_t>(size)) == 0) continue;
    ++row.different;
    const double difference = std::abs(value_at(output.type, generated, i) - expected);
    error = std::max(error, std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference);
  }
  row.values += output.count;
  if (error > 0) row.largest_error = std::max(row.largest_error, largest > 0 ? error / largest : error);
}

// Runs each call twice, as generated and as its twin, whose results stand.
class Verifier : public KernelObserver {
 public:
  void call(const jit::KernelInfo& kernel, const void* args) override {
    const std::vector<Output> outputs = outputs_of(kernel.key, args);
    const std::vector<std::byte> before = save(outputs);
    kernel.entry(args, kernel.key_address());
    const std::vector<std::byte> generated = save(outputs);
    restore(outputs, before.data());
    jit::run_reference(kernel.key, args);

    VerifyRow& row = row_of(kernel);
    ++row.calls;
    const std::byte* at = generated.data();
    for (const Output& output : outputs) {
      compare(output, at, row);
      at += output.bytes();
    }
  }

  std::vector<VerifyRow> rows;

 private:
  VerifyRow& row_of(const jit::KernelInfo& kernel) {
    const auto [known, is_new] = index_.try_emplace(kernel.name, rows.size());
    if (is_new) rows.push_back({kernel.name, jit::kernel_shape(kernel.key), 0, 0, 0, 0});
    return rows[known->second];
  }

  std::map<std::string, std::size_t> index_;
};

// Whose rows stand in the file in the order given.
template <class RowOf>
std::int64_t count_wrong(const Tensor& tensor, const PackedMatrix& packed, int first_tile, RowOf row_of) {
  const std::byte* base = packed.data + first_tile * jit::tile_bytes(packed.format, packed.cols);
  std::int64_t wrong = 0;
  for (std::int64_t row = 0; row < tensor.rows; ++row) {
    for (std::int64_t col = 0; col < tensor.cols; ++col) {
      const float value =
          jit::packed_value(packed.format, packed.cols, base, row, col, packed.tiles_per_unit);
      float expected = source_value(source(tensor), row_of(row), col);
      if (packed.format.kind == jit::FormatKind::bf16_pairs) {
        expected = jit::bfloat_to_float(jit::float_to_bfloat(expected));
      }
      if (std::bit_cast<std::uint32_t>(value) != std::bit_cast<std::uint32_t>(expected)) ++wrong;
    }
  }
  return wrong;
}

std::int64_t count_wrong(const Tensor& tensor, const PackedMatrix& packed, int first_tile) {
  return count_wrong(tensor, packed, first_tile, [](std::int64_t row) { return row; });
}

// Compares every call of a token that the plan's threads would make, on this thread alone: what lies between
// two barriers may run in any order.
void verify_token(Plan& plan, int threads, jit::Cursor at, Verifier& verifier) {
  plan.cursor() = at;
  const auto walk = [&](auto steps_of) {
    std::vector<std::span<const Step>> left;
    left.reserve(static_cast<std::size_t>(threads));
    for (int t = 0; t < threads; ++t) left.emplace_back(steps_of(t));
    while (std::ranges::any_of(left, [](const auto& steps) { return !steps.empty(); })) {
      for (std::span<const Step>& steps : left) {
        for (; !steps.empty() && steps.front().kernel != nullptr; steps = steps.subspan(1)) {
          verifier.call(*steps.front().kernel, steps.front().args);
        }
        if (!steps.empty()) steps = steps.subspan(1);
      }
    }
  };
  walk([&](int t) -> const std::vector<Step>& { return plan.feed_steps(t); });
  walk([&](int t) -> const std::vector<Step>& { return plan.classify_steps(t); });
}

}  // namespace

std::vector<VerifyRow> verify_kernels(const ModelFile& file, jit::Isa isa, const Precision& precision) {
  Engine engine(file, {.isa = isa, .precision = precision});
  // A chunk, then a token: together far enough to reach the second group of sixteen positions, where the
  // context allows, and across the end of attention's first range. The chunk is no whole number of token
  // blocks. Positions before it are zeros.
  const int n_chunk = std::min(engine.context() - 1, kLanes + 3);
  const int start = std::clamp(engine.context() - 1 - n_chunk, 0, jit::kAttentionRange - 10);
  std::vector<TokenId> tokens;
  for (int pos = 0; pos <= n_chunk; ++pos) tokens.push_back((pos * 7919 + 1) % engine.config().vocab_size);

  Verifier verifier;
  Plan& plan = engine.plan();
  if (n_chunk > 0) {
    const auto chunk = std::span(tokens).first(static_cast<std::size_t>(n_chunk));
    engine.prefill().feed_observed(chunk, start, plan.residual(), engine.team(), verifier);
    engine.prefill().classify_observed(0, n_chunk, engine.team(), verifier);
  }
  const jit::Cursor last{tokens.back(), start + n_chunk};
  verify_token(plan, 1, last, verifier);
  verifier.call(*plan.softmax_step().kernel, plan.softmax_step().args);

  if (engine.kv_cache().positions() <= jit::kAttentionRange) return verifier.rows;
  // The same token once more, by so many threads that they share heads.
  const int threads = engine.config().n_kv_heads + 1;
  jit::CodeCache code(isa);
  Plan shared(engine.config(), engine.weights(), engine.kv_cache(), engine.rope(), engine.tuning(), code,
              threads);
  code.publish();
  shared.link();
  verify_token(shared, threads, last, verifier);
  return verifier.rows;
}

std::int64_t verify_packing(const ModelFile& file, const Precision& precision) {
  Team team(1);
  const Weights weights(file, team, precision.bf16);
  std::int64_t wrong = count_wrong(file.embedding, weights.embedding, 0);
  if (!file.config.shared_classifier) wrong += count_wrong(file.classifier, weights.classifier, 0);
  for (std::size_t i = 0; i < file.layers.size(); ++i) {
    const LayerTensors& from = file.layers[i];
    const LayerWeights& to = weights.layers[i];
    const auto rotated = [&](std::int64_t row) { return rotated_row(file.config, row); };
    wrong += count_wrong(from.wq, to.wq, 0, rotated) + count_wrong(from.wk, to.wk, 0, rotated) +
             count_wrong(from.wv, to.wv, 0) + count_wrong(from.wo, to.wo, 0) +
             count_wrong(from.up, to.gate_up, file.config.gated() ? 1 : 0) +
             count_wrong(from.down, to.down, 0);
    if (file.config.gated()) wrong += count_wrong(from.gate, to.gate_up, 0);
  }
  return wrong;
}

}  // namespace llamajit
