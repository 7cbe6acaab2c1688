#include "runtime/generate/generate.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

#include "runtime/base/clock.h"
#include "runtime/base/numbers.h"
#include "runtime/forward/logits.h"

namespace llamajit {
namespace {

TokenId choose(Engine& engine, Sampler& sampler, const GenerationOptions& options) {
  if (options.constraint != nullptr) options.constraint->mask(engine.logits());
  if (options.ignore_eos) {
    const auto forbid = [&](TokenId token) {
      if (token >= 0 && token < engine.config().vocab_size) {
        engine.logits()[static_cast<std::size_t>(token)] = -std::numeric_limits<float>::infinity();
      }
    };
    forbid(options.bos);
    std::ranges::for_each(options.ends, forbid);
  } else if (sampler.is_argmax() && options.constraint == nullptr) {
    const TokenId token = engine.argmax();
    return std::isfinite(engine.logits()[static_cast<std::size_t>(token)]) ? token : -1;
  }
  return sampler.sample(engine.logits());
}

}  // namespace

std::string_view to_string(StopReason reason) {
  switch (reason) {
    case StopReason::bos:
      return "beginning-of-sequence token";
    case StopReason::eos:
      return "end-of-sequence token";
    case StopReason::max_tokens:
      return "token limit (-n)";
    case StopReason::context_end:
      return "end of the context";
    case StopReason::cancelled:
      return "interrupted";
    case StopReason::complete:
      return "stop string (-r)";
    case StopReason::grammar_end:
      return "end of the grammar";
  }
  return "";
}

void check_fits(std::span<const TokenId> prompt, const Engine& engine) {
  if (prompt.size() <= static_cast<std::size_t>(engine.context())) return;
  throw std::runtime_error(fmt::format("prompt: expected at most {} (the context), found {}",
                                       counted(engine.context(), "token"), prompt.size()));
}

void take_up(Engine& engine, const Sequence& kept, std::span<const TokenId> prompt) {
  const auto seen = [&](const Sequence& sequence) {
    return sequence.seen_of(sequence.common_length(prompt));
  };
  if (seen(kept) > seen(engine.sequence())) engine.sequence() = kept.fork(kept.common_length(prompt));
}

Generation generate(Engine& engine, Sampler& sampler, std::span<const TokenId> prompt,
                    const GenerationOptions& options, const OnToken& on_token) {
  assert(!prompt.empty() && options.prompt_part > 0);
  check_fits(prompt, engine);
  const auto cancelled = [&] {
    return options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed);
  };
  Generation result;
  result.prompt_tokens = static_cast<int>(prompt.size());
  const auto start = Clock::now();
  if (options.kept != nullptr && *options.kept) take_up(engine, **options.kept, prompt);
  // The last token gives the logits, so it is fed in any case.
  const int held = std::min(engine.sequence().common_length(prompt), result.prompt_tokens - 1);
  result.fed_tokens = result.prompt_tokens - held;
  const auto pos_of_rest = static_cast<std::size_t>(held);
  for (const TokenId token : prompt.subspan(pos_of_rest)) sampler.read(token);
  // In parts, so that a long prompt can be interrupted.
  const auto part = static_cast<std::size_t>(options.prompt_part);
  for (std::size_t pos = pos_of_rest; pos < prompt.size() && !cancelled(); pos += part) {
    const std::size_t n = std::min(part, prompt.size() - pos);
    engine.feed_all(prompt.subspan(pos, n), static_cast<int>(pos));
  }
  if (options.kept != nullptr) options.kept->emplace(engine.sequence().fork(engine.sequence().length()));
  result.prompt_seconds = seconds_since(start);

  TokenId last = -1;
  const auto generation_start = Clock::now();
  const auto stop = [&](StopReason reason) {
    result.reason = reason;
    result.generation_seconds = seconds_since(generation_start);
    return result;
  };
  for (int pos = result.prompt_tokens;; ++pos) {
    if (cancelled()) return stop(StopReason::cancelled);
    if (options.constraint != nullptr && options.constraint->must_end()) return stop(StopReason::grammar_end);
    if (result.generated_tokens == options.max_tokens) return stop(StopReason::max_tokens);
    if (pos > engine.context()) return stop(StopReason::context_end);
    // Feeds the token before only now: what would follow the last one, nobody wants to know.
    if (result.generated_tokens > 0) engine.feed(last, pos - 1, true);
    last = choose(engine, sampler, options);
    if (last < 0) refuse_logits(engine.logits(), pos - 1);
    if (!options.ignore_eos && last == options.bos) return stop(StopReason::bos);
    if (!options.ignore_eos && std::ranges::count(options.ends, last) > 0) return stop(StopReason::eos);
    sampler.accept(last);
    if (options.constraint != nullptr) options.constraint->accept(last);
    ++result.generated_tokens;
    on_token(last);
    if (options.complete && options.complete()) return stop(StopReason::complete);
  }
}

}  // namespace llamajit
