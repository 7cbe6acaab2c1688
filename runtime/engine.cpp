#include "runtime/engine.h"

#include <cassert>
#include <chrono>
#include <stdexcept>

#include <fmt/format.h>

namespace llamajit {
namespace {

Weights pack(const ModelFile& file, Team& team, double& ms) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  Weights weights(file, team);
  ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  return weights;
}

int chosen_context(const ModelFile& file, int asked) {
  const Config& config = file.config;
  if (asked > config.seq_len) {
    throw std::runtime_error(
        fmt::format("{}: context: expected at most {} tokens (the model's seq_len), found {}",
                    file.file.path(), config.seq_len, asked));
  }
  const int context = asked > 0 ? asked : config.seq_len;
  const auto per_token = (std::size_t{2} * static_cast<std::size_t>(config.n_layers) *
                              static_cast<std::size_t>(config.kv_dim()) +
                          std::size_t{2} * static_cast<std::size_t>(config.head_dim())) *
                         sizeof(float);
  const std::size_t needed = per_token * static_cast<std::size_t>(context);
  if (needed > physical_memory()) {
    throw std::runtime_error(fmt::format(
        "{}: header.seq_len: a context of {} tokens needs {} MiB for its KV cache, this machine has {} "
        "MiB; choose a shorter one with -c",
        file.file.path(), context, needed >> 20, physical_memory() >> 20));
  }
  return context;
}

}  // namespace

Engine::Engine(const ModelFile& file, const EngineOptions& options)
    : config_(file.config),
      context_(chosen_context(file, options.context)),
      team_(options.threads),
      weights_(pack(file, team_, pack_ms_)),
      code_(options.isa),
      plan_(config_, weights_, code_, options.threads,
            static_cast<int>(jit::round_up(context_, jit::kLanes))) {
  code_.publish();
  plan_.link();
}

void Engine::feed(TokenId token, int pos, bool logits) {
  assert(token >= 0 && token < config_.vocab_size && pos >= 0 && pos < context_);
  plan_.go_to({token, pos});
  auto walk = [&](int thread) {
    plan_.feed(thread, team_);
    if (logits) plan_.classify(thread, team_);
  };
  team_.run(walk);
}

}  // namespace llamajit
