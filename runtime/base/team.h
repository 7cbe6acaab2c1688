// The threads that run a plan together, and the barrier between its steps.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace llamajit {

// The part [first, second) of n things that falls to thread `t` of `threads`, as even as can be.
inline std::pair<std::int64_t, std::int64_t> share_of(std::int64_t n, int t, int threads) {
  return {n * t / threads, n * (t + 1) / threads};
}

class Team {
 public:
  // Thread 0 is the caller of run(). While there are enough CPUs each thread, the caller's too,
  // is pinned to one of them; the caller is let go again at the end.
  // Throws std::runtime_error when the system refuses a thread.
  explicit Team(int threads);
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  ~Team();

  int size() const { return size_; }

  // Calls job(context, t) on every thread t and returns when all have. No allocation, no lock. What a job throws, and of
  // several one, comes out behind the last; a job with barriers within must not throw, as the others wait there.
  using Job = void (*)(void* context, int thread);
  void run(Job job, void* context);

  // run() of something callable with a thread's number.
  template <class Callable>
  void run(Callable& callable) {
    run([](void* context, int thread) { (*static_cast<Callable*>(context))(thread); }, &callable);
  }

  // Within a job: waits until every thread has come here; what they wrote before is then visible to all.
  void barrier(int thread) {
    if (size_ > 1) meet(thread);
  }

 private:
  // Each thread counts its arrivals in a cache line of its own: an arrival is one write that the others are
  // reading already, which is the least that two cores can do.
  struct alignas(64) Slot {
    std::atomic<std::uint32_t> arrivals{0};
  };

  void start_workers();
  void send_started_home();
  void send_home();
  void do_job(int thread);
  void meet(int thread);
  void wait_for(Slot& slot, std::uint32_t arrivals);
  void work(int thread);
  void pin(int thread) const;

  int size_;
  int spins_;              // reads of a slot before going to sleep
  bool crowded_ = false;   // more threads than CPUs: a reader lets another thread run meanwhile
  std::vector<int> cpus_;  // to pin to; empty: don't
  std::unique_ptr<Slot[]> slots_;
  alignas(64) std::atomic<int> sleepers_{0};
  Job job_ = nullptr;  // nullptr: go home
  void* context_ = nullptr;
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;
  std::vector<std::thread> workers_;
};

}  // namespace llamajit
