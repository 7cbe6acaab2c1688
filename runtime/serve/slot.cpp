#include "runtime/serve/slot.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "runtime/forward/logits.h"
#include "runtime/generate/text_foresight.h"

namespace llamajit::serve {
namespace {

Softmax softmax_of(Engine& engine) {
  return [&engine](std::span<float> x, float scale) { engine.softmax(x, scale); };
}

}  // namespace

Slot::Slot(WaitingRequest waiting, Engine& engine, const SpecialTokens& special,
           std::unique_ptr<Speculation> drafts)
    : waiting_(std::move(waiting)),
      engine_(&engine),
      ends_(ends_of(special, request().ignore_eos)),
      sequence_(engine.new_sequence()),
      sampler_(request().sampler, softmax_of(engine)),
      drafts_(std::move(drafts)),
      last_(prompt().back()),
      start_(Clock::now()) {
  if (request().top_logprobs >= 0) logprobs_.emplace(request().top_logprobs, softmax_of(engine));
  if (drafts_) text_.assign(prompt().begin(), prompt().end());
  if (request().pooling) pooler_.emplace(*request().pooling, engine.config().dim);
  sampler_.begin(prompt());
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
  begin_step();
  batch.add(sequence_, piece, last && request().max_tokens != 0 ? piece.size() - 1 : piece.size(),
            drafts_by_hidden());
}

void Slot::begin_step() {
  step_begins_ = sequence_.length();
  hidden_seen_ = 0;
}

int Slot::add_written(Batch& batch, int most_drafted, int rows_alone, int rows) {
  begin_step();
  batch.add(sequence_, last_, true, drafts_by_hidden());
  draft_ = {};
  right_ = 0;
  refuted_ = false;
  if (!drafts_) return 1;
  // A step gives one token more than its draft has.
  const int position = prompt_tokens() + counts_.generated_tokens;
  int most = std::min(most_drafted, engine_->context() - position);
  if (request().max_tokens >= 0) most = std::min(most, request().max_tokens - counts_.generated_tokens - 1);
  TextForesight foresight(sampler_, request().constraint.get(), ends_);
  try {
    draft_ = drafts_->draft(text_, most, rows_alone, rows, foresight);
  } catch (const std::exception& error) {  // of the smaller model
    fail(error.what());
  }
  batch.add(sequence_, draft_, 0, drafts_by_hidden());
  return 1 + static_cast<int>(draft_.size());
}

double Slot::settle_draft() {
  if (!drafts_ || counts_.generated_tokens == 0) return 0;
  const int wrong = static_cast<int>(draft_.size()) - right_;
  if (wrong > 0) sequence_.cut(sequence_.length() - wrong);
  drafts_->learn_outcome(right_, refuted_);
  counts_.drafted_tokens = drafts_->counts().drafted;
  counts_.accepted_tokens = drafts_->counts().accepted;
  draft_ = {};
  return drafts_->seconds();
}

TokenId Slot::choose(const RowOutput& row) {
  const std::span<float> logits = row.logits;
  if (!have_a_largest(logits)) refuse_logits(logits, prompt_tokens() + counts_.generated_tokens - 1);
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
  if (drafts_) text_.push_back(token);
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

// Of all rows, in their order; behind a token that was wrong nobody wants them.
void Slot::see_hidden(std::span<const float> hidden) {
  const int row = hidden_seen_++, position = step_begins_ + row;
  if (over() || (position >= prompt_tokens() && row > right_)) return;
  const auto at = static_cast<std::size_t>(position);
  try {
    drafts_->see(at, text_[at], hidden);
  } catch (const std::exception& error) {
    fail(error.what());
  }
}

void Slot::see(const RowOutput& output) {
  if (!pooler_ && !output.hidden.empty()) return see_hidden(output.hidden);
  if (counts_.generated_tokens == 0) {
    prompt_read_ = Clock::now();
    counts_.prompt_seconds = std::chrono::duration<double>(prompt_read_ - start_).count();
  }
  if (over() || refuted_) return;  // of a draft behind a token that was wrong
  try {
    pooler_ ? pooler_->add(output.hidden) : write(choose(output));
    if (over() || right_ == std::ssize(draft_)) return;
    refuted_ = last_ != draft_[static_cast<std::size_t>(right_)];
    right_ += refuted_ ? 0 : 1;
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
