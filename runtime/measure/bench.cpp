#include "runtime/measure/bench.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

#include "runtime/base/clock.h"
#include "runtime/measure/kernel_work.h"
#include "runtime/measure/limits.h"
#include "runtime/measure/some_tokens.h"
#include "runtime/measure/statistics.h"

namespace llamajit {
namespace {

// Sequences that begin alike and go on together.
void decode_together(Engine& engine, const BenchTest& test, const std::vector<TokenId>& tokens) {
  std::vector<Sequence> sequences;
  sequences.reserve(static_cast<std::size_t>(test.batch));
  for (int i = 0; i < test.batch; ++i) sequences.push_back(engine.sequence().fork(test.depth));
  Batch batch;
  for (int i = 0; i < test.tokens; ++i) {
    batch.clear();
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      batch.add(sequences[s], tokens[(static_cast<std::size_t>(i) + s) % tokens.size()], true);
    }
    engine.step(batch, [](std::size_t, const RowOutput&) {});
  }
}

void run_once(Engine& engine, const BenchTest& test, const std::vector<TokenId>& tokens) {
  if (test.kind == BenchTest::Kind::prefill) return engine.feed_all(tokens, test.depth);
  if (test.batch > 1) return decode_together(engine, test, tokens);
  for (int i = 0; i < test.tokens; ++i)
    engine.feed(tokens[static_cast<std::size_t>(i)], test.depth + i, true);
}

// The text before a test, for its repeats: once windows have moved on, a cut back to it would cost feeding it all
// again. Nothing where no layer has one.
Sequence text_to_keep(Engine& engine, int depth) {
  const bool has_windows = engine.config().most(&LayerShape::window) > 0;
  return engine.sequence().fork(has_windows ? depth : 0);
}

// Throws what a step of all the test's tokens would.
void take_up(Engine& engine, const Sequence& text, const std::vector<TokenId>& tokens) {
  if (text.length() == 0) return;
  engine.sequence() = text.fork(text.length());
  Batch batch;
  batch.add(engine.sequence(), tokens, tokens.size());
  engine.check_fits(batch);
}

// Measures what bounds a test, bytes/s or operations/s; 0 on the scalar tier.
class Limit {
 public:
  Limit(Engine& engine, BenchTest::Kind kind)
      : kind_(kind), format_(engine.weights().layers.front().wq.format) {
    if (engine.code().isa().generates()) limits_.emplace(engine);
  }
  double measure() const {
    if (!limits_) return 0;
    if (kind_ == BenchTest::Kind::decode) return limits_->read_weights();
    return limits_->multiply(format_);
  }

 private:
  BenchTest::Kind kind_;
  jit::Format format_;
  std::optional<MachineLimits> limits_;
};

// What matrices and attention have to do for a token at `pos`, by the steps of a program.
double operations_at(Engine& engine, const Program& program, int pos) {
  for (jit::Cursor& cursor : engine.token_program().cursors()) cursor.pos = pos;
  double operations = 0;
  for (const std::vector<Step>& steps : program.threads) {
    for (const Step& step : steps) {
      if (step.is_barrier() || !is_product_or_attention(step.role)) continue;
      operations +=
          step.times_a_token() * static_cast<double>(work_of(step.target.kernel->key, step.args).operations);
    }
  }
  return operations;
}

void count_work(Engine& engine, BenchResult& result) {
  const BenchTest& test = result.test;
  const TokenProgram& token = engine.token_program();
  const int first = test.depth, last = test.depth + test.tokens - 1;
  const auto mean_operations = [&](const Program& program) {
    return (operations_at(engine, program, first) + operations_at(engine, program, last)) / 2;
  };
  result.operations_per_token = mean_operations(token.feed);
  const auto all_weights = static_cast<double>(engine.weights().bytes_per_token());
  if (test.kind == BenchTest::Kind::decode) {
    const auto cached =
        static_cast<double>(engine.kv_cache().bytes_read_at(first) + engine.kv_cache().bytes_read_at(last)) /
        2;
    const auto states = 2 * static_cast<double>(engine.kv_cache().states().bytes());  // read and written
    result.bytes_per_token = all_weights / test.batch + cached + states;
    result.operations_per_token += mean_operations(token.classify);
  } else {
    result.bytes_per_token = all_weights / std::min(test.tokens, engine.chunk());
  }
}

}  // namespace

std::string BenchTest::name() const {
  std::string text = fmt::format("{}{}", kind == Kind::prefill ? "pp" : "tg", tokens);
  if (depth > 0) text += fmt::format("@d{}", depth);
  return text;
}

BenchResult run_bench(Engine& engine, const BenchTest& test, int repeats,
                      const std::function<void()>& progress) {
  const std::int64_t positions = std::int64_t{test.depth} + test.tokens;
  if (positions > engine.context()) {
    throw std::runtime_error(fmt::format("{}: expected at most {} positions (the context), found {}",
                                         test.name(), engine.context(), positions));
  }
  const std::vector<TokenId> tokens = some_tokens(test.tokens, engine.config().vocab_size);
  engine.sequence().cut(0);
  if (test.depth > 0) engine.feed_all(some_tokens(test.depth, engine.config().vocab_size), 0);
  const Sequence text = text_to_keep(engine, test.depth);
  take_up(engine, text, tokens);
  run_once(engine, test, tokens);
  progress();
  const Limit limit(engine, test.kind);
  BenchResult result;
  result.test = test;
  result.threads = engine.threads();
  count_work(engine, result);
  const double work =
      test.kind == BenchTest::Kind::decode ? result.bytes_per_token : result.operations_per_token;
  std::vector<double> rates, limits, shares;
  for (int i = 0; i < repeats; ++i) {
    take_up(engine, text, tokens);
    const auto start = Clock::now();
    run_once(engine, test, tokens);
    rates.push_back(test.tokens * test.batch / seconds_since(start));
    limits.push_back(limit.measure());
    shares.push_back(limits.back() > 0 ? rates.back() * work / limits.back() : 0);
    progress();
  }
  result.tokens_per_second = mean(rates);
  result.deviation = deviation(rates);
  result.limit = mean(limits);
  result.limit_share = mean(shares);
  return result;
}

}  // namespace llamajit
