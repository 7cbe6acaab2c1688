#include "runtime/measure/profile.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <utility>

#include "runtime/base/clock.h"
#include "runtime/measure/some_tokens.h"

namespace llamajit {
namespace {

using Seconds = std::chrono::duration<double>;

double median(std::vector<double>& values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Measures the time between two looks at the clock with nothing in between.
double clock_cost() {
  std::vector<double> costs;
  for (int i = 0; i < 1000; ++i) {
    const auto start = Clock::now();
    costs.push_back(seconds_since(start));
  }
  return median(costs);
}

KernelProfile& entry_of(Profile& profile, const jit::KernelInfo& kernel) {
  const auto found = std::ranges::find(profile.kernels, &kernel, &KernelProfile::kernel);
  if (found != profile.kernels.end()) return *found;
  return profile.kernels.emplace_back(KernelProfile{&kernel, 0, 0, {}});
}

void add_call(Profile& profile, const jit::KernelInfo& kernel, const void* args, double seconds) {
  KernelProfile& entry = entry_of(profile, kernel);
  ++entry.calls;
  entry.seconds += seconds;
  entry.work += work_of(kernel.key, args);
  profile.seconds += seconds;
}

// Those of a token's step.
void add_calls(Profile& profile, const Step& step, double seconds) {
  const int n = step.times_a_token();
  for (int i = 0; i < n; ++i) add_call(profile, *step.target.kernel, step.args, seconds / n);
}

}  // namespace

double Profile::share(const jit::KernelInfo& kernel) const {
  const KernelProfile* entry = find(kernel);
  return entry != nullptr && seconds > 0 ? entry->seconds / seconds : 0;
}

const KernelProfile* Profile::find(const jit::KernelInfo& kernel) const {
  const auto found = std::ranges::find(kernels, &kernel, &KernelProfile::kernel);
  return found == kernels.end() ? nullptr : &*found;
}

std::vector<const Step*> token_steps(const TokenProgram& program) {
  std::vector<const Step*> steps;
  for (const Program* part : {&program.feed, &program.classify}) {
    for (const Step& step : part->threads.front()) {
      if (!step.is_barrier()) steps.push_back(&step);
    }
  }
  return steps;
}

Profile count_token(Engine& engine) {
  Profile profile;
  profile.tokens = 1;
  for (const Step* step : token_steps(engine.token_program())) {
    add_calls(profile, *step, 0);
  }
  return profile;
}

Profile profile_token(Engine& engine, int position) {
  assert(engine.threads() == 1 && position < engine.context());
  constexpr double kSeconds = 0.2;
  constexpr int kLeast = 5;
  constexpr int kMost = 1000;
  const std::vector<TokenId> tokens = some_tokens(position + 1, engine.config().vocab_size);
  if (position > 0) engine.feed_all(std::span(tokens).first(static_cast<std::size_t>(position)), 0);
  engine.sequence().cut(position);
  engine.place({&engine.sequence(), tokens.back(), true});

  const std::vector<const Step*> steps = token_steps(engine.token_program());
  std::vector<std::vector<double>> times(steps.size());
  for (std::vector<double>& of_step : times) of_step.reserve(kMost);
  const double cost = clock_cost();
  const auto begin = Clock::now();
  for (int turn = 0; turn < kLeast || (turn < kMost && seconds_since(begin) < kSeconds); ++turn) {
    auto before = Clock::now();
    run_token_steps(engine.token_program(), steps, [&](std::size_t i) {
      const auto after = Clock::now();
      times[i].push_back(Seconds(after - before).count());
      before = after;
    });
  }
  Profile profile;
  profile.tokens = 1;
  profile.position = position;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    profile.steps.push_back(std::max(median(times[i]) - cost, 0.0));
    add_calls(profile, *steps[i], profile.steps.back());
  }
  return profile;
}

double token_seconds(Engine& engine, int position) {
  constexpr double kSeconds = 0.3;
  constexpr int kLeast = 5;
  constexpr int kMost = 10000;
  const TokenId token = some_tokens(position + 1, engine.config().vocab_size).back();
  std::vector<double> times;
  times.reserve(kMost);
  const auto begin = Clock::now();
  for (int turn = 0; turn < kLeast || (turn < kMost && seconds_since(begin) < kSeconds); ++turn) {
    const auto start = Clock::now();
    engine.feed(token, position, true);
    times.push_back(seconds_since(start));
  }
  return median(times);
}

Profile profile_prompt(Engine& engine, int n_tokens) {
  assert(engine.threads() == 1 && n_tokens <= engine.chunk());
  constexpr int kRepeats = 5;
  const double cost = clock_cost();
  Profile best;
  for (int i = 0; i < kRepeats; ++i) {
    engine.sequence().cut(0);
    Batch batch;
    batch.add(engine.sequence(), some_tokens(n_tokens, engine.config().vocab_size),
              static_cast<std::size_t>(n_tokens));
    const Rows rows = engine.place(batch.rows());
    Profile profile;
    walk_alone(engine.rows_program(n_tokens).feed, rows,
               [&](const Step&, const Target& target, const void* args) {
                 const auto start = Clock::now();
                 target.call(args);
                 const double seconds = seconds_since(start) - cost;
                 add_call(profile, *target.kernel, args, std::max(seconds, 0.0));
               });
    if (best.tokens == 0 || profile.seconds < best.seconds) best = std::move(profile);
    best.tokens = n_tokens;
  }
  return best;
}

}  // namespace llamajit
