#include "runtime/bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

#include "jit/limits.h"

namespace llamajit {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Tokens that don't repeat soon, the same in every run.
std::vector<TokenId> some_tokens(int n, int vocab_size) {
  std::vector<TokenId> tokens;
  for (std::int64_t i = 0; i < n; ++i) tokens.push_back(static_cast<TokenId>((i * 7919 + 13) % vocab_size));
  return tokens;
}

void run_once(Engine& engine, const BenchTest& test, const std::vector<TokenId>& tokens) {
  if (test.kind == BenchTest::Kind::prefill) {
    engine.feed_all(tokens, test.depth);
    return;
  }
  for (int i = 0; i < test.tokens; ++i)
    engine.feed(tokens[static_cast<std::size_t>(i)], test.depth + i, true);
}

// The best of many tries, in units/s when work() does `units`. Each is long enough for the clock, and shorter
// than a scheduler's time slice, where work() allows: on a busy machine longer ones would all be interrupted.
template <class Work>
double best_rate(double units, Work work) {
  constexpr int kLeastTries = 3;
  constexpr double kTrySeconds = 0.001;
  constexpr double kAllSeconds = 0.05;
  double best = 0;
  const auto first = Clock::now();
  for (int tries = 0; tries < kLeastTries || seconds_since(first) < kAllSeconds; ++tries) {
    const auto start = Clock::now();
    double done = 0;
    double seconds = 0;
    do {
      work();
      done += units;
      seconds = seconds_since(start);
    } while (seconds < kTrySeconds);
    best = std::max(best, done / seconds);
  }
  return best;
}

double read_limit(Engine& engine, const jit::LimitKernels& kernels) {
  const std::int64_t blocks = static_cast<std::int64_t>(engine.weights().bytes()) / 256;
  // Small footprints are read several times between two meetings of the threads: it is reading that is
  // measured.
  const int rounds =
      static_cast<int>(std::max<std::int64_t>(1, (std::int64_t{32} << 20) / (blocks * 256 + 1)));
  auto read = [&](int thread) {
    const auto [begin, end] = share_of(blocks, thread, engine.threads());
    for (int i = 0; i < rounds; ++i) kernels.read(engine.weights().data() + begin * 256, (end - begin) * 256);
  };
  return best_rate(static_cast<double>(blocks) * 256 * rounds, [&] { engine.team().run(read); });
}

double arithmetic_limit(Engine& engine, const jit::LimitKernels& kernels) {
  constexpr std::int64_t kTurns = 200000;
  const bool quantised = engine.weights().layers.front().wq.format.kind == jit::FormatKind::q8_0;
  const std::int64_t operations = quantised ? kernels.dot_u8s8(1) : kernels.multiply_f32(1);
  auto multiply = [&](int) { (void)(quantised ? kernels.dot_u8s8(kTurns) : kernels.multiply_f32(kTurns)); };
  return best_rate(static_cast<double>(operations) * kTurns * engine.threads(),
                   [&] { engine.team().run(multiply); });
}

// Measures what bounds a test, bytes/s or operations/s; 0 on the scalar tier.
class Limit {
 public:
  Limit(Engine& engine, BenchTest::Kind kind) : engine_(engine), kind_(kind) {
    if (engine.code().isa().generates()) kernels_.emplace(engine.code().isa());
  }
  double measure() const {
    if (!kernels_) return 0;
    return kind_ == BenchTest::Kind::decode ? read_limit(engine_, *kernels_)
                                            : arithmetic_limit(engine_, *kernels_);
  }

 private:
  Engine& engine_;
  BenchTest::Kind kind_;
  std::optional<jit::LimitKernels> kernels_;
};

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double deviation(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  double squares = 0;
  for (double value : values) squares += (value - mean(values)) * (value - mean(values));
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

void count_work(Engine& engine, BenchResult& result) {
  const Config& c = engine.config();
  const double layer_weights =
      2.0 * c.dim * c.q_dim() + 2.0 * c.dim * c.kv_dim() + 3.0 * static_cast<double>(c.dim) * c.hidden_dim;
  // On average half of the test's own tokens stand before one of them.
  const double positions = result.test.depth + (result.test.tokens + 1) / 2.0;
  result.operations_per_token = 2 * c.n_layers * layer_weights + 4.0 * c.n_layers * c.q_dim() * positions;
  const double all_weights = static_cast<double>(engine.weights().bytes_per_token());
  if (result.test.kind == BenchTest::Kind::decode) {
    const double cached = static_cast<double>(engine.kv_cache().bytes_per_position()) * positions;
    result.bytes_per_token = all_weights + cached;
    result.operations_per_token += 2.0 * c.vocab_size * c.dim;
  } else {
    result.bytes_per_token = all_weights / std::min(result.test.tokens, engine.prefill().chunk());
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
  if (test.depth > 0) engine.feed_all(some_tokens(test.depth, engine.config().vocab_size), 0);
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
    const auto start = Clock::now();
    run_once(engine, test, tokens);
    rates.push_back(test.tokens / seconds_since(start));
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
