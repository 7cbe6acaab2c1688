#include "runtime/serve/scheduler.h"

#include <algorithm>
#include <future>
#include <utility>

namespace llamajit::serve {
namespace {

// A beginning that is shorter is computed sooner than waited for.
constexpr int kWorthWaiting = 16;

int common_length(std::span<const TokenId> a, std::span<const TokenId> b) {
  return static_cast<int>(std::ranges::mismatch(a, b).in1 - a.begin());
}

// With a copy of a page that is shared.
int pages_at_most(const GenerationRequest& request, int context) {
  const auto prompt = static_cast<std::int64_t>(request.prompt.size());
  const std::int64_t tokens = request.max_tokens < 0 ? context : prompt + request.max_tokens;
  return static_cast<int>(jit::divide_up(std::min<std::int64_t>(tokens, context), jit::kKvPage)) + 1;
}

void cancel_all(const std::list<WaitingRequest>& requests) {
  for (const WaitingRequest& waiting : requests) waiting.listener->finish(Finish::cancelled, {});
}

}  // namespace

Scheduler::Scheduler(const ModelFile& file, const EngineOptions& engine, const SpecialTokens& special,
                     const SchedulerOptions& options)
    : options_(options), special_(special), budget_(options.most_step_ms, 512) {
  // An engine's threads are pinned from the thread that it is made on.
  std::promise<void> loaded;
  thread_ = std::thread([&, this] {
    try {
      engine_.emplace(file, engine);
      if (options_.make_drafts) drafts_ = options_.make_drafts(*engine_);
      kept_.emplace(static_cast<std::size_t>(engine.sequences - options.slots));
      windows_ = engine_->config().most(&LayerShape::window) > 0;
      loaded.set_value();
    } catch (...) {
      loaded.set_exception(std::current_exception());
      return;
    }
    work();
  });
  try {
    loaded.get_future().get();
  } catch (...) {
    thread_.join();
    throw;
  }
}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_came_.notify_one();
  thread_.join();
}

Scheduler::Answer Scheduler::submit(std::vector<WaitingRequest> requests) {
  {
    const std::lock_guard lock(mutex_);
    if (draining_ || stopping_) return Answer::draining;
    if (waiting_.size() + requests.size() > options_.most_waiting) return Answer::full;
    for (WaitingRequest& request : requests) waiting_.add(std::move(request));
    stats_.waiting = static_cast<int>(waiting_.size());
  }
  work_came_.notify_one();
  return Answer::taken;
}

void Scheduler::submit_next(WaitingRequest request) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.add(std::move(request));
    stats_.waiting = static_cast<int>(waiting_.size());
  }
  work_came_.notify_one();
}

void Scheduler::drain() {
  const std::lock_guard lock(mutex_);
  draining_ = true;
}

SchedulerStats Scheduler::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void Scheduler::work() {
  while (wait_for_work()) {
    const double seconds = advance();
    end_slots();
    publish(seconds);
  }
  for (Slot& slot : slots_) {
    slot.end(Finish::cancelled);
    slot.tell_end();
  }
  cancel_all(waiting_.take_all());
  slots_.clear();
  kept_.reset();
  drafts_.reset();
}

// Gives the seconds that its step took.
double Scheduler::advance() {
  try {
    admit();
    compose();
    return batch_.rows().empty() ? 0 : step();
  } catch (const std::exception& error) {  // no memory
    for (Slot& slot : slots_) slot.fail(error.what());
    return 0;
  }
}

// False: there will be no more.
bool Scheduler::wait_for_work() {
  std::list<WaitingRequest> cancelled;
  {
    std::unique_lock lock(mutex_);
    work_came_.wait(lock, [&] { return stopping_ || !slots_.empty() || !waiting_.empty(); });
    if (stopping_) return false;
    cancelled = waiting_.take_cancelled();
  }
  cancel_all(cancelled);
  return true;
}

void Scheduler::admit() {
  std::map<std::string, int> at_work;
  for (const Slot& slot : slots_) ++at_work[slot.request().share];
  while (std::ssize(slots_) < options_.slots) {
    std::optional<WaitingRequest> next;
    {
      const std::lock_guard lock(mutex_);
      if (!waiting_.empty() && has_room_for(waiting_.next(at_work).request)) next = waiting_.take(at_work);
    }
    if (!next) return;
    ++at_work[next->request.share];
    // A single token has no draft.
    const int wanted = next->request.max_tokens;
    const bool may_draft = drafts_ && wanted != 0 && wanted != 1;
    const auto listener = next->listener;
    try {
      slots_.emplace_back(std::move(*next), *engine_, special_, may_draft ? drafts_->begin_text() : nullptr);
    } catch (const std::exception& error) {
      listener->fail(error.what());
      throw;
    }
    take_up_beginning(slots_.back());
  }
}

bool Scheduler::has_room_for(const GenerationRequest& request) const {
  const std::optional<int> pages = engine_->kv_cache().scarce_pages();
  if (!pages) return true;
  int taken = pages_at_most(request, engine_->context());
  for (const Slot& slot : slots_) taken += pages_at_most(slot.request(), engine_->context());
  return taken <= *pages;
}

// From what is at work or was kept, as far as that spares something.
void Scheduler::take_up_beginning(Slot& slot) {
  if (!slot.request().reuse_prefix) return;
  if (const Sequence* const kept = kept_->best_for(slot.prompt())) slot.take_up(*kept);
  for (const Slot& other : slots_) {
    if (&other != &slot) slot.take_up(other.sequence());
  }
}

// How many tokens a slot that has read nothing yet would spare by waiting for one before it that reads its prompt.
int Scheduler::shared_with_reader(const Slots::iterator& slot) const {
  if (slot->began() || !slot->request().reuse_prefix) return 0;
  int most = 0;
  for (auto other = slots_.begin(); other != Slots::const_iterator(slot); ++other) {
    if (other->over() || !other->reads()) continue;
    const int common =
        std::min(common_length(other->prompt(), slot->prompt()), static_cast<int>(slot->prompt().size()) - 1);
    if (common > other->sequence().length()) most = std::max(most, common);
  }
  return most - slot->sequence().length() >= kWorthWaiting ? most : 0;
}

void Scheduler::compose() {
  batch_.clear();
  row_slots_.clear();
  prompt_rows_ = 0;
  read_to_end_.clear();
  for (Slot& slot : slots_) {
    if (slot.cancelled()) slot.end(Finish::cancelled);
  }
  add_written();
  if (engine_->config().causal) {
    add_prompts(budget_.prompt_tokens());
  } else {
    add_texts(budget_.prompt_tokens());
  }
  make_pages();
}

// Each text's last token, and a draft behind it, for which all have equal room. Where prompts are read, the step has rows
// enough to read the weights for.
void Scheduler::add_written() {
  const auto writes = [](const Slot& slot) { return !slot.over() && !slot.reads(); };
  const auto reads = [](const Slot& slot) { return !slot.over() && slot.reads(); };
  const auto writers = static_cast<int>(std::ranges::count_if(slots_, writes));
  const bool may_draft = drafts_ && std::ranges::none_of(slots_, reads);
  const int room = may_draft && writers > 0 ? std::max(0, DraftBudget::kMostRows - writers) / writers : 0;
  int rows = writers;
  for (Slot& slot : slots_) {
    if (!writes(slot)) continue;
    const int n = slot.add_written(batch_, room, writers, rows);
    row_slots_.insert(row_slots_.end(), static_cast<std::size_t>(n), &slot);
    rows += n - 1;
  }
}

// Equal parts of `left` tokens; what a short prompt leaves of its part falls to the others.
void Scheduler::add_prompts(int left) {
  std::vector<Slot*> readers;
  for (auto slot = slots_.begin(); slot != slots_.end(); ++slot) {
    if (slot->over() || !slot->reads() || shared_with_reader(slot) > 0) continue;
    if (!slot->began()) take_up_beginning(*slot);
    readers.push_back(&*slot);
  }
  std::ranges::stable_sort(readers, {}, &Slot::prompt_left);
  for (std::size_t i = 0; i < readers.size(); ++i) {
    const int part = std::max(1, left / static_cast<int>(readers.size() - i));
    const int n = std::min(part, readers[i]->prompt_left());
    if (n == readers[i]->prompt_left()) read_to_end_.push_back(readers[i]);
    readers[i]->add_prompt(batch_, n);
    row_slots_.insert(row_slots_.end(), static_cast<std::size_t>(n), readers[i]);
    prompt_rows_ += n;
    left = std::max(0, left - n);
  }
}

// Whole texts, as encoders read them, in the order of their places: one at least, and others that `left` tokens hold
// beside it.
void Scheduler::add_texts(int left) {
  for (Slot& slot : slots_) {
    if (slot.over() || !slot.reads()) continue;
    const int n = slot.prompt_left();
    if (prompt_rows_ > 0 && n > left) continue;
    slot.add_prompt(batch_, n);
    row_slots_.insert(row_slots_.end(), static_cast<std::size_t>(n), &slot);
    prompt_rows_ += n;
    left -= n;
  }
}

// What was kept makes way for what is at work.
void Scheduler::make_pages() {
  while (!engine_->fits(batch_) && kept_->give_up_one()) {
  }
}

// Gives the seconds that it took.
double Scheduler::step() {
  const auto start = Clock::now();
  int tokens_before = 0;
  for (const Slot& slot : slots_) tokens_before += slot.counts().generated_tokens;
  try {
    engine_->step(batch_, [&](std::size_t row, const RowOutput& output) { row_slots_[row]->see(output); });
  } catch (const std::exception& error) {
    for (Slot* slot : row_slots_) slot->fail(error.what());
    return seconds_since(start);
  }
  keep_prompts();
  const double seconds = seconds_since(start);
  budget_.learn(prompt_rows_, 1e3 * seconds);
  if (drafts_ && prompt_rows_ == 0) learn_step(tokens_before, seconds);
  return seconds;
}

void Scheduler::learn_step(int tokens_before, double seconds) {
  int tokens = -tokens_before;
  double draft_seconds = 0;
  for (const Slot& slot : slots_) tokens += slot.counts().generated_tokens;
  // One that was cancelled has no rows, and settled its last draft already.
  const Slot* settled = nullptr;
  for (Slot* const slot : row_slots_) {
    if (std::exchange(settled, slot) != slot) draft_seconds += slot->settle_draft();
  }
  drafts_->budget().learn_step(static_cast<int>(batch_.rows().size()), tokens, seconds, draft_seconds);
}

// What a text has written may be left out of the one that goes on with it, as chats leave out reasoning: then windows
// of the prompt's end are wanted, which the text itself gives back.
void Scheduler::keep_prompts() {
  if (!windows_) return;
  for (const Slot* slot : read_to_end_) {
    const Sequence& read = slot->sequence();
    if (slot->request().reuse_prefix) kept_->keep(read.fork(read.length()), true);
  }
}

void Scheduler::end_slots() {
  for (auto slot = slots_.begin(); slot != slots_.end();) {
    const bool read = slot->began() && !slot->reads();
    if (read && !slot->over() && slot->request().max_tokens == 0) slot->end(Finish::length);
    const auto here = slot++;
    if (!here->over()) continue;
    here->tell_end();
    {
      const std::lock_guard lock(mutex_);
      const GenerationCounts& counts = here->counts();
      ++stats_.requests;
      stats_.prompt_tokens += static_cast<std::uint64_t>(counts.prompt_tokens);
      stats_.cached_tokens += static_cast<std::uint64_t>(counts.cached_tokens);
      stats_.generated_tokens += static_cast<std::uint64_t>(counts.generated_tokens);
      stats_.drafted_tokens += static_cast<std::uint64_t>(counts.drafted_tokens);
      stats_.accepted_tokens += static_cast<std::uint64_t>(counts.accepted_tokens);
      stats_.prompt_seconds += counts.prompt_seconds;
      stats_.generation_seconds += counts.generation_seconds;
    }
    if (here->request().reuse_prefix) kept_->keep(here->take_sequence(), windows_);
    slots_.erase(here);
  }
}

void Scheduler::publish(double seconds) {
  const std::lock_guard lock(mutex_);
  if (seconds > 0) ++stats_.steps;
  stats_.step_seconds += seconds;
  stats_.at_work = static_cast<int>(slots_.size());
  stats_.waiting = static_cast<int>(waiting_.size());
  stats_.kept = static_cast<int>(kept_->size());
  stats_.cache_bytes = engine_->kv_cache().bytes_in_use();
}

}  // namespace llamajit::serve
