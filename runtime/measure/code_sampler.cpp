#include "runtime/measure/code_sampler.h"

#include <atomic>
#include <cassert>
#include <cerrno>
#include <numeric>
#include <system_error>

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "runtime/base/clock.h"

namespace llamajit {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// All that the signal's handler touches: memory and a timer that were there before.
struct Recorder {
  std::uintptr_t code = 0;  // address
  CodeSamples samples;
  timer_t timer{};
  std::uint32_t random = 1;

  // Never the same distance twice in a row: a token's steps have a rhythm of their own.
  void arm() {
    constexpr std::uint32_t kLeastNs = 50'000;
    constexpr std::uint32_t kSpreadNs = 1 << 16;
    random = random * 1664525 + 1013904223;
    itimerspec when{};
    when.it_value.tv_nsec = kLeastNs + (random >> 8) % kSpreadNs;
    timer_settime(timer, 0, &when, nullptr);  // may be called by a handler (POSIX.1-2017, 2.4.3)
  }

  void record(std::uintptr_t address) {
    if (address - code < samples.at.size()) {
      ++samples.at[address - code];
      ++samples.inside;
    } else {
      ++samples.outside;
    }
    arm();
  }
};

std::atomic<Recorder*> active{nullptr};
static_assert(std::atomic<Recorder*>::is_always_lock_free);

void on_signal(int /*signal*/, siginfo_t* /*info*/, void* context) {
  const int saved = errno;
  Recorder* const recorder = active.load();
  const auto& registers = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs;
  if (recorder != nullptr) recorder->record(static_cast<std::uintptr_t>(registers[REG_RIP]));
  errno = saved;
}

// SIGPROF goes to the recorder while this lives.
class Sampling {
 public:
  explicit Sampling(Recorder& recorder) : recorder_(recorder) {
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    if (sigaction(SIGPROF, &action, &before_) != 0) fail("sigaction");
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGPROF;
    event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
    if (timer_create(CLOCK_MONOTONIC, &event, &recorder_.timer) != 0) {
      const int why = errno;
      sigaction(SIGPROF, &before_, nullptr);
      errno = why;
      fail("timer_create");
    }
    active = &recorder_;
    recorder_.arm();
  }
  Sampling(const Sampling&) = delete;
  Sampling& operator=(const Sampling&) = delete;
  ~Sampling() {
    active = nullptr;
    timer_delete(recorder_.timer);
    // A signal that is still on its way would end the process: ignoring drops it.
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPROF, &ignore, nullptr);
    sigaction(SIGPROF, &before_, nullptr);
  }

 private:
  Recorder& recorder_;
  struct sigaction before_ {};
};

}  // namespace

std::int64_t CodeSamples::in(std::size_t begin, std::size_t end) const {
  assert(begin <= end && end <= at.size());
  return std::accumulate(at.begin() + static_cast<std::ptrdiff_t>(begin),
                         at.begin() + static_cast<std::ptrdiff_t>(end), std::int64_t{0});
}

CodeSamples sample_code(const Engine& engine, double seconds, const std::function<void()>& run) {
  assert(engine.threads() == 1 && engine.code().isa().generates());
  Recorder recorder;
  recorder.code = reinterpret_cast<std::uintptr_t>(engine.code().address());
  recorder.samples.at.resize(engine.code().code_bytes());
  const auto start = Clock::now();
  const auto passed = [&] { return seconds_since(start); };
  {
    const Sampling sampling(recorder);
    do {
      run();
    } while (passed() < seconds);
  }
  recorder.samples.seconds = passed();
  return std::move(recorder.samples);
}

}  // namespace llamajit
