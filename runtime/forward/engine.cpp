#include "runtime/forward/engine.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>

namespace llamajit {
namespace {

// Tokens of a prompt that go through a matrix together: enough to hide reading it from memory behind the
// arithmetic.
constexpr int kChunk = 128;

// A chunk is padded to whole blocks of tokens, but reads the weights once: two tokens of a model that lies in
// memory take 32 ms as a chunk and 50 ms one by one (1.1B Q8_0), of one in the third-level cache about the
// same time.
constexpr int kWorthAChunk = 2;

jit::ElementType chosen_kv_type(const ModelFile& file, const EngineOptions& options) {
  const jit::Format format = file.layers.front().wq.format;
  const bool exact = !has_codes(format) && !as_pairs(format, options.precision.bf16);
  return options.precision.kv_type.value_or(exact ? jit::ElementType::f32 : jit::ElementType::f16);
}

Weights pack(const ModelFile& file, Team& team, Bf16Products bf16, double& ms) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  Weights weights(file, team, bf16);
  ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  return weights;
}

// What the KV cache and the table of angles take. A file's numbers may be huge: 64 bits throughout.
std::size_t context_bytes(const Config& config, int context, jit::ElementType type) {
  const jit::KvLayout sixteen(type, config.head_dim(), jit::kLanes);  // positions of one head
  const std::int64_t heads = std::int64_t{config.n_layers} * config.n_kv_heads;
  const std::int64_t cache =
      heads * (sixteen.keys_bytes() + sixteen.values_bytes()) * jit::divide_up(context, jit::kLanes);
  const std::int64_t angles = std::int64_t{2} * config.head_dim() * context;
  return static_cast<std::size_t>(cache) + static_cast<std::size_t>(angles) * sizeof(float);
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
  const std::size_t needed = context_bytes(config, context, chosen_kv_type(file, options));
  if (needed > physical_memory()) {
    throw std::runtime_error(
        fmt::format("{}: context: {} tokens need {} MiB for their KV cache, this machine has {} "
                    "MiB; choose a shorter one with -c",
                    file.path(), context, needed >> 20, physical_memory() >> 20));
  }
  return context;
}

}  // namespace

Engine::Engine(const ModelFile& file, const EngineOptions& options)
    : config_(file.config),
      isa_(options.isa),
      context_(chosen_context(file, options)),
      team_(options.threads),
      weights_(pack(file, team_, options.precision.bf16, pack_ms_)),
      kv_cache_(config_, context_, chosen_kv_type(file, options)),
      rope_(context_, config_.head_dim(), config_.rope),
      tuning_(options.tuning),
      publication_(options.publication),
      program_(std::make_unique<Program>(*this)) {}

Engine::Program::Program(const Engine& e)
    : code(e.isa_),
      plan(e.config_, e.weights_, e.kv_cache_, e.rope_, e.tuning_, code, e.threads()),
      prefill(e.config_, e.weights_, e.kv_cache_, e.rope_, code, e.threads(), kChunk) {
  code.publish(e.publication_.gdb);
  publication.emplace(code, e.publication_);
  plan.link();
}

void Engine::use(const Tuning& tuning) {
  tuning_ = tuning;
  program_ = std::make_unique<Program>(*this);
}

void Engine::feed(TokenId token, int pos, bool logits) {
  assert(token >= 0 && token < config_.vocab_size && pos >= 0 && pos < context_);
  Plan& plan = program_->plan;
  rope_.reach(pos + 1);
  plan.cursor() = {token, pos};
  auto walk = [&](int thread) {
    plan.feed(thread, team_);
    if (logits) plan.classify(thread, team_);
  };
  team_.run(walk);
}

void Engine::classify() {
  auto walk = [&](int thread) { program_->plan.classify(thread, team_); };
  team_.run(walk);
}

void Engine::feed_each(std::span<const TokenId> tokens, int pos, std::size_t first, const SeeLogits& see) {
  assert(pos + std::ssize(tokens) <= context_);
  rope_.reach(pos + static_cast<int>(tokens.size()));
  Prefill& prefill = program_->prefill;
  for (std::size_t begin = 0; begin < tokens.size(); begin += kChunk) {
    const std::span<const TokenId> chunk =
        tokens.subspan(begin, std::min(tokens.size() - begin, std::size_t{kChunk}));
    prefill.feed(chunk, pos + static_cast<int>(begin), program_->plan.residual(), team_);
    const std::int64_t n = std::ssize(chunk);
    const auto unseen = static_cast<std::int64_t>(first - std::min(first, begin));
    for (std::int64_t t = unseen; t < n; t += Prefill::kClassified) {
      const std::int64_t classified = std::min<std::int64_t>(n - t, Prefill::kClassified);
      prefill.classify(t, classified, team_);
      for (std::int64_t i = 0; i < classified; ++i) {
        see(begin + static_cast<std::size_t>(t + i), prefill.logits(i));
      }
    }
  }
}

void Engine::feed_all(std::span<const TokenId> tokens, int pos) {
  assert(!tokens.empty() && pos + std::ssize(tokens) <= context_);
  rope_.reach(pos + static_cast<int>(tokens.size()));
  while (tokens.size() >= static_cast<std::size_t>(kWorthAChunk)) {
    const std::span<const TokenId> chunk =
        tokens.first(std::min(tokens.size(), static_cast<std::size_t>(kChunk)));
    program_->prefill.feed(chunk, pos, program_->plan.residual(), team_);
    tokens = tokens.subspan(chunk.size());
    pos += static_cast<int>(chunk.size());
    if (tokens.empty()) return classify();
  }
  for (; !tokens.empty(); tokens = tokens.subspan(1)) feed(tokens.front(), pos++, tokens.size() == 1);
}

}  // namespace llamajit
