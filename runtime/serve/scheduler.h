// Many texts at once by one engine: what each gets is what it would get alone.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "runtime/draft/speculation.h"
#include "runtime/forward/engine.h"
#include "runtime/serve/prefix_cache.h"
#include "runtime/serve/slot.h"
#include "runtime/serve/step_budget.h"
#include "runtime/serve/waiting_line.h"

namespace llamajit::serve {

struct SchedulerOptions {
  int slots = 4;            // texts at work at once
  double most_step_ms = 0;  // what a step should not exceed
  std::size_t most_waiting = 256;
  // Makes what guesses the texts' next tokens for the engine, on the scheduler's thread; none: nothing does.
  std::function<std::unique_ptr<DraftSource>(const Engine& engine)> make_drafts{};
};

// Since the start, and now.
struct SchedulerStats {
  std::uint64_t requests = 0;  // that had a place
  std::uint64_t prompt_tokens = 0;
  std::uint64_t cached_tokens = 0;
  std::uint64_t generated_tokens = 0;
  std::uint64_t drafted_tokens = 0;   // of requests that are over
  std::uint64_t accepted_tokens = 0;  // of these, what texts have
  std::uint64_t steps = 0;
  double step_seconds = 0;
  double prompt_seconds = 0;      // of requests, from their places to their first logits
  double generation_seconds = 0;  // of requests, after that
  int at_work = 0;
  int waiting = 0;
  int kept = 0;                  // texts in the prefix cache
  std::int64_t cache_bytes = 0;  // of keys and values
};

// Its thread owns the engine, from loading it on. A step takes the last token of each text that is being written and,
// beside them, pieces of prompts, of which none waits for another one's end: each gets an equal part of what the step
// can take. A prompt that begins as another one does that is being read just now waits for it and takes that part over.
// Where the cache is smaller than all contexts together, a text waits for its place until there is room for the longest
// that it may become, so that none that was begun ends for want of pages.
class Scheduler {
 public:
  // Throws what Engine throws. `file` and `special` must live as long as it is built, and as it is.
  Scheduler(const ModelFile& file, const EngineOptions& engine, const SpecialTokens& special,
            const SchedulerOptions& options);
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  // Cancels what is at work.
  ~Scheduler();

  enum class Answer : std::uint8_t { taken, full, draining };
  // All of them or none. Prompts must fit into the context, and their tokens into the vocabulary.
  Answer submit(std::vector<WaitingRequest> requests);
  // One that belongs to those that were taken: for lists that are longer than the line may be, a part at a time. It is
  // never refused. Any thread may call it, a listener within its calls, too.
  void submit_next(WaitingRequest request);
  // Takes no more; what was taken is gone on with.
  void drain();
  SchedulerStats stats() const;

  // What never changes of it: any thread may read it.
  const Engine& engine() const { return *engine_; }

 private:
  using Slots = std::list<Slot>;

  void work();
  bool wait_for_work();
  double advance();
  void admit();
  bool has_room_for(const GenerationRequest& request) const;
  void take_up_beginning(Slot& slot);
  int shared_with_reader(const Slots::iterator& slot) const;
  void compose();
  void add_written();
  void add_prompts(int left);
  void add_texts(int left);
  void make_pages();
  double step();
  void learn_step(int tokens_before, double seconds);
  void keep_prompts();
  void end_slots();
  void publish(double seconds);

  SchedulerOptions options_;
  const SpecialTokens& special_;
  std::optional<Engine> engine_;  // the thread's own, but for what never changes
  std::unique_ptr<DraftSource> drafts_;

  // The thread's alone.
  Slots slots_;  // in the order of their places
  std::optional<PrefixCache> kept_;
  StepBudget budget_;
  Batch batch_;
  std::vector<Slot*> row_slots_;    // of each row of the batch
  std::vector<Slot*> read_to_end_;  // whose prompts the batch ends
  int prompt_rows_ = 0;
  bool windows_ = false;

  mutable std::mutex mutex_;
  std::condition_variable work_came_;
  WaitingLine waiting_;
  bool draining_ = false;
  bool stopping_ = false;
  SchedulerStats stats_;
  std::thread thread_;
};

}  // namespace llamajit::serve
