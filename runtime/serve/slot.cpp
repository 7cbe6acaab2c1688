#include "runtime/serve/slot.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "runtime/forward/logits.h"

namespace llamajit::serve {
namespace {

Softmax softmax_of(Engine& engine) {
  return [&engine](std::span<float> x, float scale) { engine.softmax(x, scale); };
}

}  // namespace

Slot::Slot(WaitingRequest waiting, Engine& engine, const SpecialTokens& special)
    : waiting_(std::move(waiting)),
      engine_(&engine),
      ends_(ends_of(special, request().ignore_eos)),
      sequence_(engine.new_sequence()),
      sampler_(request().sampler, softmax_of(engine)),
      last_(prompt().back()),
      start_(Clock::now()) {
  if (request().top_logprobs >= 0) logprobs_.emplace(request().top_logprobs, softmax_of(engine));
  if (request().pooling) pooler_.emplace(*request().pooling, engine.config().dim);
  for (const TokenId token : prompt()) sampler_.read(token);
  counts_.prompt_tokens = prompt_tokens();
  counts_.waiting_seconds = std::chrono::duration<double>(start_ - waiting_.since).count();
}

void Slot::take_up(const Sequence& sequence) {
  // The last token gives the logits, so it is fed in any case.
  const int common = std::min(sequence.common_length(prompt()), prompt_tokens() - 1);
  if (sequence.seen_of(common) <= sequence_.seen()) return;
  sequence_ = sequence.fork(common);
  sequence_.cut(sequence_.seen());  // what is to be fed again is fed in pieces, as the rest is
  counts_.cached_tokens = sequence_.seen();
}

void Slot::add_prompt(Batch& batch, int n) {
  began_ = true;
  const auto piece =
      prompt().subspan(static_cast<std::size_t>(sequence_.length()), static_cast<std::size_t>(n));
  if (pooler_) {
    const auto begin = static_cast<std::size_t>(sequence_.length());
    return batch.add_hidden(sequence_, piece, pooler_->first_wanted(begin, piece.size(), prompt().size()));
  }
  const bool last = n == prompt_left();
  batch.add(sequence_, piece, last && request().max_tokens != 0 ? piece.size() - 1 : piece.size());
}

void Slot::add_written(Batch& batch) {
  batch.add(sequence_, last_, true);
}

TokenId Slot::choose(const RowOutput& row) {
  const std::span<float> logits = row.logits;
  if (!have_a_largest(logits)) refuse_logits(logits, sequence_.length() - 1);
  if (logprobs_) logprobs_->read(logits);
  if (request().constraint) request().constraint->mask(logits);
  ends_.forbid(logits);
  const bool untouched = !request().constraint && !ends_.ignored;
  const TokenId token = untouched && sampler_.is_argmax() ? row.best : sampler_.sample(logits);
  if (token < 0) throw std::runtime_error("logits: expected a token that may follow, found none");
  return token;
}

void Slot::write(TokenId token) {
  if (ends_.at(token)) return end(Finish::stop);
  sampler_.accept(token);
  if (request().constraint) request().constraint->accept(token);
  ++counts_.generated_tokens;
  Chosen chosen{token, std::exchange(last_, token)};
  if (logprobs_) {
    chosen.logprob = logprobs_->of(token);
    chosen.top = logprobs_->top();
  }
  if (!waiting_.listener->take(chosen) || (request().constraint && request().constraint->must_end())) {
    return end(Finish::stop);
  }
  const bool full = prompt_tokens() + counts_.generated_tokens > engine_->context();
  if (full || counts_.generated_tokens == request().max_tokens) end(Finish::length);
}

void Slot::see(const RowOutput& output) {
  if (counts_.generated_tokens == 0) {
    prompt_read_ = Clock::now();
    counts_.prompt_seconds = std::chrono::duration<double>(prompt_read_ - start_).count();
  }
  try {
    pooler_ ? pooler_->add(output.hidden) : write(choose(output));
  } catch (const std::exception& error) {  // of this text alone
    fail(error.what());
  }
}

void Slot::tell_end() {
  if (!fault_.empty()) return waiting_.listener->fail(fault_);
  if (counts_.prompt_seconds > 0) counts_.generation_seconds = seconds_since(prompt_read_);
  if (pooler_ && *finish_ == Finish::length) waiting_.listener->take_embedding(pooler_->vector());
  waiting_.listener->finish(*finish_, counts_);
}

}  // namespace llamajit::serve
