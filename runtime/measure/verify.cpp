#include "runtime/measure/verify.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "jit/base/scalar_math.h"
#include "runtime/measure/kernel_outputs.h"

namespace llamajit {
namespace {

using jit::kLanes;

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

std::uint16_t bits_at(const std::byte* bytes, std::int64_t i) {
  std::uint16_t bits;
  std::memcpy(&bits, bytes + i * 2, sizeof bits);
  return bits;
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
    case Output::Type::f16:
      return jit::half_to_float(bits_at(bytes, i));
    case Output::Type::bf16:
      return jit::bfloat_to_float(bits_at(bytes, i));
    case Output::Type::s16:
      return value_at<std::int16_t>(bytes, i);
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
    const double actual = value_at(output.type, generated, i);
    if (std::isnan(actual) && std::isnan(expected)) continue;
    ++row.different;
    const double difference = std::abs(actual - expected);
    error = std::max(error, std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference);
  }
  row.values += output.count;
  if (error > 0) row.largest_error = std::max(row.largest_error, largest > 0 ? error / largest : error);
}

// A product's units, shared among the threads.
template <class Args>
void run_twin_of_product(const jit::KernelKey& key, const Args& args, Team& team) {
  auto job = [&](int thread) {
    Args own = args;
    const auto [first, last] = share_of(args.unit_end - args.unit_begin, thread, team.size());
    own.unit_begin = args.unit_begin + first;
    own.unit_end = args.unit_begin + last;
    jit::run_reference(key, &own);
  };
  team.run(job);
}

// Nearly all of a model's twins' time goes into products.
void run_twin(const jit::KernelKey& key, const void* args, Team& team) {
  if (std::holds_alternative<jit::MatvecKey>(key)) {
    return run_twin_of_product(key, *static_cast<const jit::MatvecArgs*>(args), team);
  }
  if (std::holds_alternative<jit::MatmulKey>(key)) {
    return run_twin_of_product(key, *static_cast<const jit::MatmulArgs*>(args), team);
  }
  jit::run_reference(key, args);
}

// Runs each call twice, as generated and as its twin, whose results stand.
class Verifier {
 public:
  explicit Verifier(int threads) : team_(threads) {}

  void call(const jit::KernelInfo& kernel, const void* args) {
    const std::vector<Output> outputs = outputs_of(kernel.key, args);
    const std::vector<std::byte> before = save(outputs);
    kernel.entry(args, kernel.key_address());
    const std::vector<std::byte> generated = save(outputs);
    restore(outputs, before.data());
    run_twin(kernel.key, args, team_);

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

  Team team_;
  std::map<std::string, std::size_t> index_;
};

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

// Texts of as many rows as steps have, one that begins a second range of attention, and one of a single token.
void verify_texts(Engine& engine, Verifier& verifier) {
  for (const int rows : {jit::kAttentionRange + 5, kLanes + 3, 16, 8, 4, 1}) {
    const int n = std::min(rows, engine.context());
    std::vector<TokenId> tokens;
    tokens.reserve(static_cast<std::size_t>(n));
    for (int pos = 0; pos < n; ++pos) tokens.push_back((pos * 7919 + 1) % engine.config().vocab_size);
    engine.sequence().cut(0);
    if (n == 1) {
      engine.place({&engine.sequence(), tokens.front(), false});
      verifier.walk(engine.token_program());
      continue;
    }
    Batch batch;
    batch.add_hidden(engine.sequence(), tokens, 0);
    verifier.walk(engine.rows_program(n).feed, engine.place(batch.rows()));
    verifier.walk(engine.rows_program(n).final_norm, {n, {}});
  }
}

}  // namespace

std::vector<VerifyRow> verify_kernels(const ModelFile& file, jit::Isa isa, const Precision& precision,
                                      Ranks* ranks, const std::vector<int>& shares, int threads) {
  EngineOptions options;
  options.isa = isa;
  options.precision = precision;
  options.ranks = ranks;
  options.shares = shares;
  options.in_step = true;
  Engine engine(file, options);
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
  Verifier verifier(threads);
  if (!engine.config().causal) {
    verify_texts(engine, verifier);
    return verifier.rows;
  }
  const auto all = std::span<const TokenId>(tokens);
  auto at = static_cast<std::size_t>(start);
  if (start > 0) engine.feed_all(all.first(at), 0);
  for (const std::int64_t n : kSteps) {
    if (at + static_cast<std::size_t>(n) + 1 > all.size()) continue;
    verify_rows(engine, all.subspan(at, static_cast<std::size_t>(n)), verifier);
    at += static_cast<std::size_t>(n);
  }
  engine.place({&engine.sequence(), all[at], true});
  verifier.walk(engine.token_program());
  const Step& softmax = engine.token_program().softmax_step;
  verifier.call(*softmax.target.kernel, softmax.args);

  if (engine.kv_cache().context() <= jit::kAttentionRange) return verifier.rows;
  // The same token once more, by so many threads that they share heads.
  jit::CodeCache code(isa);
  TokenProgram shared({engine.config(), engine.weights(), engine.kv_cache(), engine.rope(), engine.tuning(),
                       code, engine.config().most(&LayerShape::n_kv_heads) + 1, engine.peers()});
  code.publish();
  shared.link();
  std::ranges::copy(engine.token_program().cursors(), shared.cursors().begin());
  verifier.walk(shared);
  return verifier.rows;
}

}  // namespace llamajit
