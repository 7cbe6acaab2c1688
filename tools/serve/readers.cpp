#include "tools/serve/readers.h"

#include <stdexcept>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

namespace llamajit::serve {
namespace {

// Of those texts that are written meanwhile: a grammar may take seconds of computing, and each token's threads wait for
// the slowest of them. Reading gets a quarter of a core that is full, and what is free of the others.
constexpr int kBehind = 5;

// A wish, as the texts come out right without it, too.
void step_behind() {
  const auto self = static_cast<id_t>(gettid());
  (void)setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + kBehind);
}

}  // namespace

Readers::Readers(int threads) {
  try {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error& error) {
    end();
    throw std::runtime_error(fmt::format("threads: expected {} that read requests, the system gives {}: {}",
                                         threads, threads_.size(), error.what()));
  } catch (...) {
    end();
    throw;
  }
}
Readers::~Readers() {
  end();
}

void Readers::post(std::function<void()> read) {
  const std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(read));
  changed_.notify_one();
}

void Readers::work() {
  step_behind();
  for (;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ending_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const std::function<void()> read = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    read();
  }
}

void Readers::end() noexcept {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

}  // namespace llamajit::serve
