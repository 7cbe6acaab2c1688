#include "runtime/generate/generate.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

#include "runtime/base/clock.h"
#include "runtime/base/numbers.h"
#include "runtime/forward/logits.h"
#include "runtime/generate/text_foresight.h"

namespace llamajit {
namespace {

bool is_cancelled(const GenerationOptions& options) {
  return options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed);
}

// Tokens of a text at positions `pos` and up, of which the last one gives the engine's logits.
void feed(Engine& engine, std::span<const TokenId> tokens, int pos, Speculation* drafts) {
  if (drafts == nullptr || !drafts->wants_hidden()) return engine.feed_all(tokens, pos);
  engine.sequence().cut(pos);
  Batch batch;
  batch.add(engine.sequence(), tokens, tokens.size() - 1, true);
  engine.step(batch, [&](std::size_t row, const RowOutput& output) {
    if (!output.hidden.empty()) drafts->see(static_cast<std::size_t>(pos) + row, tokens[row], output.hidden);
  });
}

// Writes behind a prompt, token by token.
class Writing {
 public:
  Writing(Engine& engine, Sampler& sampler, std::span<const TokenId> prompt, const GenerationOptions& options,
          const OnToken& on_token, Generation& result)
      : engine_(engine), sampler_(sampler), options_(options), on_token_(on_token), result_(result) {
    if (options.drafts != nullptr) text_.assign(prompt.begin(), prompt.end());
  }

  // From the logits of the prompt's last token on.
  StopReason run() {
    std::optional<StopReason> stop = what_stops();
    if (!stop) stop = take(engine_.logits(), engine_.argmax());
    while (!stop) {
      stop = what_stops();
      if (!stop) stop = options_.drafts != nullptr ? step_with_draft() : step();
    }
    return *stop;
  }

 private:
  // The position that the next token will have.
  int position() const { return result_.prompt_tokens + result_.generated_tokens; }

  // Before another token is chosen.
  std::optional<StopReason> what_stops() const {
    if (is_cancelled(options_)) return StopReason::cancelled;
    if (options_.constraint != nullptr && options_.constraint->must_end()) return StopReason::grammar_end;
    if (result_.generated_tokens == options_.max_tokens) return StopReason::max_tokens;
    if (position() > engine_.context()) return StopReason::context_end;
    return std::nullopt;
  }

  // Feeds the token before only now: what would follow the last one, nobody wants to know.
  std::optional<StopReason> step() {
    if (options_.drafts != nullptr) {
      feed(engine_, {&last_, 1}, position() - 1, options_.drafts);
    } else {
      engine_.feed(last_, position() - 1, true);
    }
    return take(engine_.logits(), engine_.argmax());
  }

  // The token before and a draft behind it; the text goes on as long as the draft is right, and a token farther.
  std::optional<StopReason> step_with_draft() {
    const auto draft = make_draft();
    const auto start = Clock::now();
    const int tokens_before = result_.generated_tokens;
    std::optional<StopReason> stop;
    std::size_t right = 0;
    bool refuted = false;
    if (draft.empty()) {
      stop = step();
    } else {
      const int held = engine_.sequence().length();
      const bool hidden = options_.drafts->wants_hidden();
      const TokenId before = last_;
      Batch batch;
      batch.add(engine_.sequence(), before, true, hidden);
      batch.add(engine_.sequence(), draft, 0, hidden);
      engine_.step(batch, [&](std::size_t row, const RowOutput& output) {
        if (!output.hidden.empty()) {  // behind all rows' logits
          if (row > right) return;
          const TokenId token = row == 0 ? before : draft[row - 1];
          return options_.drafts->see(static_cast<std::size_t>(held) + row, token, output.hidden);
        }
        if (stop || refuted) return;
        if (row > 0) stop = what_stops();
        if (!stop) stop = take(output.logits, output.best);
        if (stop || row == draft.size()) return;
        refuted = last_ != draft[row];
        right += refuted ? 0 : 1;
      });
      // The row of the last token that was right is the last that the text without drafts would have fed.
      engine_.sequence().cut(held + static_cast<int>(right) + 1);
    }
    options_.drafts->learn_outcome(static_cast<int>(right), refuted);
    options_.drafts->budget().learn_step(static_cast<int>(draft.size()) + 1,
                                         result_.generated_tokens - tokens_before, seconds_since(start),
                                         options_.drafts->seconds());
    return stop;
  }

  std::span<const TokenId> make_draft() {
    // A step gives one token more than its draft has.
    int most = engine_.context() - position();
    if (options_.max_tokens >= 0) most = std::min(most, options_.max_tokens - result_.generated_tokens - 1);
    TextForesight foresight(sampler_, options_.constraint, options_.ends);
    return options_.drafts->draft(text_, most, 1, 1, foresight);
  }

  std::optional<StopReason> take(std::span<float> logits, TokenId best) {
    const TokenId token = choose(logits, best);
    if (token < 0) refuse_logits(logits, position() - 1);
    if (options_.ends.at(token)) return token == options_.ends.bos ? StopReason::bos : StopReason::eos;
    last_ = token;
    sampler_.accept(token);
    if (options_.constraint != nullptr) options_.constraint->accept(token);
    if (options_.drafts != nullptr) text_.push_back(token);
    ++result_.generated_tokens;
    on_token_(token);
    if (options_.complete && options_.complete()) return StopReason::complete;
    return std::nullopt;
  }

  TokenId choose(std::span<float> logits, TokenId best) {
    if (options_.constraint != nullptr) options_.constraint->mask(logits);
    options_.ends.forbid(logits);
    const bool untouched = options_.constraint == nullptr && !options_.ends.ignored;
    if (!untouched || !sampler_.is_argmax()) return sampler_.sample(logits);
    return std::isfinite(logits[static_cast<std::size_t>(best)]) ? best : -1;
  }

  Engine& engine_;
  Sampler& sampler_;
  const GenerationOptions& options_;
  const OnToken& on_token_;
  Generation& result_;
  std::vector<TokenId> text_;  // with the prompt, where drafts want it
  TokenId last_ = -1;
};

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
  Generation result;
  result.prompt_tokens = static_cast<int>(prompt.size());
  const auto start = Clock::now();
  // Of all of it, whatever the engine has of it: what is penalised follows from the text alone.
  sampler.begin(prompt);
  if (options.kept != nullptr && *options.kept) take_up(engine, **options.kept, prompt);
  // The last token gives the logits, so it is fed in any case.
  const int held = std::min(engine.sequence().common_length(prompt), result.prompt_tokens - 1);
  result.fed_tokens = result.prompt_tokens - held;
  const auto pos_of_rest = static_cast<std::size_t>(held);
  // In parts, so that a long prompt can be interrupted.
  const auto part = static_cast<std::size_t>(options.prompt_part);
  for (std::size_t pos = pos_of_rest; pos < prompt.size() && !is_cancelled(options); pos += part) {
    const std::size_t n = std::min(part, prompt.size() - pos);
    feed(engine, prompt.subspan(pos, n), static_cast<int>(pos), options.drafts);
  }
  if (options.kept != nullptr) options.kept->emplace(engine.sequence().fork(engine.sequence().length()));
  result.prompt_seconds = seconds_since(start);

  const auto generation_start = Clock::now();
  result.reason = Writing(engine, sampler, prompt, options, on_token, result).run();
  result.generation_seconds = seconds_since(generation_start);
  return result;
}

}  // namespace llamajit
