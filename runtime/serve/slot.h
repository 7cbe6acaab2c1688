// A text that is being read and written.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "runtime/draft/speculation.h"
#include "runtime/forward/batch.h"
#include "runtime/forward/engine.h"
#include "runtime/generate/embedding.h"
#include "runtime/generate/text_ends.h"
#include "runtime/serve/logprobs.h"
#include "runtime/serve/waiting_line.h"

namespace llamajit::serve {

// It reads its prompt, then writes. What it draws follows from its request and its own logits alone.
class Slot {
 public:
  // `drafts` may be nullptr.
  Slot(WaitingRequest waiting, Engine& engine, const SpecialTokens& special,
       std::unique_ptr<Speculation> drafts);

  const GenerationRequest& request() const { return waiting_.request; }
  std::span<const TokenId> prompt() const { return waiting_.request.prompt; }
  bool cancelled() const { return waiting_.ticket->cancelled(); }
  const Sequence& sequence() const { return sequence_; }
  Sequence take_sequence() { return std::move(sequence_); }

  // Begins as `sequence` does, as far as that spares something. Only before it has read anything itself.
  void take_up(const Sequence& sequence);
  bool reads() const { return sequence_.length() < prompt_tokens(); }
  int prompt_left() const { return prompt_tokens() - sequence_.length(); }
  // Whether it has read something itself.
  bool began() const { return began_; }

  // What it gives the next step: the next `n` tokens of its prompt, or the one that it has written last.
  void add_prompt(Batch& batch, int n);
  // With a draft behind that, of at most `most_drafted` tokens, in a step that has so many rows without drafts, and so
  // many so far. Gives the number of its rows.
  int add_written(Batch& batch, int most_drafted, int rows_alone, int rows);
  // Forgets what was wrong of its draft, after the step; gives the seconds that the draft took.
  double settle_draft();
  // What it wanted behind what it has given, row by row.
  void see(const RowOutput& output);
  // Its text is over, for the reason that the listener is to be told.
  bool over() const { return finish_.has_value() || !fault_.empty(); }
  void end(Finish reason) { finish_ = reason; }
  void fail(const std::string& what) { fault_ = what; }
  // Tells the listener that it is over.
  void tell_end();
  const GenerationCounts& counts() const { return counts_; }

 private:
  int prompt_tokens() const { return static_cast<int>(prompt().size()); }
  bool drafts_by_hidden() const { return drafts_ != nullptr && drafts_->wants_hidden(); }
  void begin_step();
  void see_hidden(std::span<const float> hidden);
  TokenId choose(const RowOutput& row);
  void write(TokenId token);

  WaitingRequest waiting_;
  Engine* engine_;
  TextEnds ends_;
  Sequence sequence_;
  Sampler sampler_;
  std::unique_ptr<Speculation> drafts_;
  std::vector<TokenId> text_;         // with the prompt, where there are drafts
  std::span<const TokenId> draft_{};  // in the step at hand
  int right_ = 0;                     // of its tokens
  int step_begins_ = 0;               // where the rows of the step at hand stand
  int hidden_seen_ = 0;               // of these rows, where drafts want them
  bool refuted_ = false;
  std::optional<Logprobs> logprobs_;
  std::optional<Pooler> pooler_;
  bool began_ = false;
  TokenId last_;
  std::optional<Finish> finish_;
  std::string fault_;
  GenerationCounts counts_;
  Clock::time_point start_;
  Clock::time_point prompt_read_{};
};

}  // namespace llamajit::serve
