#include "runtime/base/team.h"

#include <chrono>
#include <span>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>
#include <immintrin.h>
#include <pthread.h>
#include <sched.h>

#include "runtime/base/clock.h"
#include "runtime/base/cpus.h"

namespace llamajit {
namespace {

// About 50 us of reading: longer than any step takes, shorter than anyone notices.
constexpr int kSpins = 4000;
// Making way for our own threads takes less than a microsecond each time. If so much has gone by, others had
// the CPU, and might again and again.
constexpr int kYields = 100;
constexpr std::chrono::microseconds kYieldTime{200};

// Lets the calling thread run on these CPUs only. A wish: where it is refused, unpinned works too.
void allow(std::span<const int> cpus) {
  if (cpus.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int cpu : cpus) CPU_SET(static_cast<std::size_t>(cpu), &set);
  (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

// What to pin so many threads to; nothing where there are fewer CPUs.
std::vector<int> cpus_for(int threads) {
  const int all = static_cast<int>(allowed_cpus().size());
  if (threads > all) return {};
  return 1 < threads && threads < all ? allowed_cpus_by_core() : allowed_cpus();
}

}  // namespace

Team::Team(int threads)
    : size_(threads),
      spins_(kSpins),
      cpus_(cpus_for(threads)),
      slots_(new Slot[static_cast<std::size_t>(threads)]) {
  if (cpus_at_once() < threads) {
    // Whoever spins keeps the one waited for from running; to make way costs less than to sleep and be woken.
    crowded_ = true;
    spins_ = kYields;
  }
  start_workers();
  if (threads > 1) pin(0);
}

Team::~Team() {
  if (workers_.empty()) return;
  send_home();
  allow(cpus_);
}

void Team::start_workers() {
  workers_.reserve(static_cast<std::size_t>(size_ - 1));
  try {
    for (int t = 1; t < size_; ++t) workers_.emplace_back([this, t] { work(t); });
  } catch (const std::system_error& error) {
    const int started = static_cast<int>(workers_.size()) + 1;
    send_started_home();
    throw std::runtime_error(
        fmt::format("threads: expected {}, the system gives {}: {}", size_, started, error.what()));
  } catch (...) {  // no memory for one
    send_started_home();
    throw;
  }
}

// Those that did start wait for all: arrives in the name of the missing.
void Team::send_started_home() {
  for (int t = static_cast<int>(workers_.size()) + 1; t < size_; ++t) {
    slots_[static_cast<std::size_t>(t)].arrivals.store(1);
    slots_[static_cast<std::size_t>(t)].arrivals.notify_all();
  }
  send_home();
}

void Team::send_home() {
  job_ = nullptr;
  meet(0);
  for (std::thread& worker : workers_) worker.join();
}

void Team::pin(int thread) const {
  if (!cpus_.empty()) allow(std::span(cpus_).subspan(static_cast<std::size_t>(thread), 1));
}

void Team::run(Job job, void* context) {
  job_ = job;
  context_ = context;
  barrier(0);  // the workers wait there
  do_job(0);
  barrier(0);
  if (failed_.exchange(false)) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Team::do_job(int thread) {
  try {
    job_(context_, thread);
  } catch (...) {
    if (!failed_.exchange(true)) failure_ = std::current_exception();
  }
}

void Team::work(int thread) {
  pin(thread);
  for (;;) {
    meet(thread);
    if (job_ == nullptr) return;
    do_job(thread);
    meet(thread);
  }
}

void Team::meet(int thread) {
  Slot& mine = slots_[static_cast<std::size_t>(thread)];
  const std::uint32_t arrivals = mine.arrivals.load(std::memory_order_relaxed) + 1;
  // Sequentially consistent on purpose: the write must be visible before sleepers_ is read, and a sleeper
  // counts itself before it reads the slot, so one of the two always sees the other.
  mine.arrivals.store(arrivals);
  if (sleepers_.load() > 0) mine.arrivals.notify_all();
  for (int other = 0; other < size_; ++other) {
    if (other != thread) wait_for(slots_[static_cast<std::size_t>(other)], arrivals);
  }
}

void Team::wait_for(Slot& slot, std::uint32_t arrivals) {
  // A thread may be one arrival ahead of us, never behind
  // by more: signed distance survives the counter's wrap.
  const auto arrived = [&](std::uint32_t seen) { return static_cast<std::int32_t>(seen - arrivals) >= 0; };
  const auto start = crowded_ ? Clock::now() : Clock::time_point();
  for (int i = 0; i < spins_; ++i) {
    if (arrived(slot.arrivals.load(std::memory_order_acquire))) return;
    if (!crowded_) {
      _mm_pause();
      continue;
    }
    sched_yield();
    if (Clock::now() - start > kYieldTime) break;
  }
  sleepers_.fetch_add(1);
  for (std::uint32_t seen = slot.arrivals.load(); !arrived(seen); seen = slot.arrivals.load())
    slot.arrivals.wait(seen);
  sleepers_.fetch_sub(1);
}

}  // namespace llamajit
