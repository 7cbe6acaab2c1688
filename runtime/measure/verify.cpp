#include "runtime/measure/verify.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <set>

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
class Verifier {
 public:
  void call(const jit::KernelInfo& kernel, const void* args) {
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

  // All calls of a program.
  void walk(Program& program, const Rows& rows_at_hand) {
    walk_alone(program, rows_at_hand,
               [&](const Step&, const Target& target, const void* args) { call(*target.kernel, args); });
  }
  void walk(TokenProgram& program) {
    walk(program.feed, {});
    walk(program.classify, {});
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

// Rows of the engine's own sequence from `begin` to `end` of these tokens, all of which want logits.
void verify_rows(Engine& engine, std::span<const TokenId> tokens, Verifier& verifier) {
  Batch batch;
  batch.add(engine.sequence(), tokens, 0);
  const std::int64_t n = std::ssize(tokens);
  verifier.walk(engine.rows_program(n).feed, engine.place(batch.rows()));
  const std::int64_t classified = std::min<std::int64_t>(n, RowState::kClassified);
  std::copy_n(engine.rows().x, classified * jit::row_stride(engine.config().dim), engine.rows().classified);
  verifier.walk(engine.rows_program(classified).classify, {classified, {}});
}

}  // namespace

std::vector<VerifyRow> verify_kernels(const ModelFile& file, jit::Isa isa, const Precision& precision) {
  Engine engine(file, {.isa = isa, .precision = precision});
  // Steps of different numbers of rows, then a token: together far enough to reach the second group of sixteen
  // positions, where the context allows, and across the end of attention's first range. The first step's rows are no
  // whole number of token blocks; the others' are as many as their kernels are made for, since rows that fill up a
  // step hold anything.
  constexpr std::int64_t kSteps[] = {kLanes + 3, 4, 8, 16};
  constexpr int kAll = kLanes + 3 + 4 + 8 + 16 + 1;
  const int start = std::clamp(engine.context() - kAll, 0, jit::kAttentionRange - 30);
  std::vector<TokenId> tokens;
  for (int pos = 0; pos < std::min(start + kAll, engine.context()); ++pos) {
    tokens.push_back((pos * 7919 + 1) % engine.config().vocab_size);
  }
  Verifier verifier;
  const auto all = std::span<const TokenId>(tokens);
  auto at = static_cast<std::size_t>(start);
  if (start > 0) engine.feed_all(all.first(at), 0);
  for (const std::int64_t n : kSteps) {
    if (at + static_cast<std::size_t>(n) + 1 > all.size()) continue;
    verify_rows(engine, all.subspan(at, static_cast<std::size_t>(n)), verifier);
    at += static_cast<std::size_t>(n);
  }
  engine.place({&engine.sequence(), all[at], true});
  const jit::Cursor last = engine.token_program().cursor();
  verifier.walk(engine.token_program());
  const Step& softmax = engine.token_program().softmax_step;
  verifier.call(*softmax.target.kernel, softmax.args);

  if (engine.kv_cache().context() <= jit::kAttentionRange) return verifier.rows;
  // The same token once more, by so many threads that they share heads.
  jit::CodeCache code(isa);
  TokenProgram shared({engine.config(), engine.weights(), engine.kv_cache(), engine.rope(), engine.tuning(),
                       code, engine.config().most(&LayerShape::n_kv_heads) + 1});
  code.publish();
  shared.link();
  shared.cursor() = last;
  verifier.walk(shared);
  return verifier.rows;
}

std::int64_t verify_packing(const ModelFile& file, const Precision& precision) {
  Team team(1);
  const Weights weights(file, team, precision.bf16);
  std::int64_t wrong = count_wrong(file.embedding, weights.embedding, 0);
  if (!file.config.shared_classifier) wrong += count_wrong(file.classifier, weights.classifier, 0);
  if (file.layer_inputs.exists()) {
    wrong += count_wrong(file.layer_inputs, weights.layer_inputs, 0) +
             count_wrong(file.layer_input_matrix, weights.layer_input_matrix, 0);
  }
  if (file.positions.exists()) wrong += count_wrong(file.positions, weights.positions, 0);
  for (std::size_t i = 0; i < file.layers.size(); ++i) {
    const LayerTensors& from = file.layers[i];
    const LayerWeights& to = weights.layers[i];
    const LayerShape& shape = file.config.layer(i);
    const auto rotated = [&](std::int64_t row) { return rotated_row(shape, row); };
    if (shape.is_linear()) {
      wrong += count_wrong(from.wq, to.wq, 0) + count_wrong(from.delta_decay, to.delta.decay, 0) +
               count_wrong(from.delta_rate, to.delta.rate, 0);
    } else {
      wrong += count_wrong(from.wq, to.wq, 0, rotated);
    }
    if (shape.owns_kv()) {
      wrong += count_wrong(from.wk, to.wk, 0, rotated) + count_wrong(from.wv, to.wv, 0);
    }
    if (from.input_gate.exists()) {
      wrong +=
          count_wrong(from.input_gate, to.input_gate, 0) + count_wrong(from.input_down, to.input_down, 0);
    }
    if (from.att_gate.exists()) wrong += count_wrong(from.att_gate, to.att_gate, 0);
    wrong += count_wrong(from.wo, to.wo, 0) + count_wrong(from.up, to.gate_up, shape.gated() ? 1 : 0) +
             count_wrong(from.down, to.down, 0);
    if (shape.gated()) wrong += count_wrong(from.gate, to.gate_up, 0);
    if (!shape.has_experts()) continue;
    wrong += count_wrong(from.router, to.router, 0);
    if (from.shared_router.exists()) wrong += count_wrong(from.shared_router, to.shared_router, 0);
    if (!from.shared_up.exists()) continue;
    wrong += count_wrong(from.shared_gate, to.shared_gate_up, 0) +
             count_wrong(from.shared_up, to.shared_gate_up, 1) +
             count_wrong(from.shared_down, to.shared_down, 0);
  }
  return wrong;
}

}  // namespace llamajit
