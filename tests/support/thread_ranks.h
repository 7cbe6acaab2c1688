// Ranks as threads of the test's own process: engines that run one model together, without MPI.
#pragma once

#include <algorithm>
#include <barrier>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "runtime/base/ranks.h"
#include "runtime/forward/engine.h"

namespace llamajit::test {

// What threads that are ranks have in common.
class RankMeeting {
 public:
  explicit RankMeeting(int ranks)
      : barrier_(ranks), bytes_(static_cast<std::size_t>(ranks)), told_(static_cast<std::size_t>(ranks)) {}

 private:
  friend class ThreadRanks;
  std::barrier<> barrier_;
  std::vector<std::byte*> bytes_;  // of each rank, in the exchange at hand
  std::mutex mutex_;
  std::condition_variable heard_;
  std::vector<std::deque<std::vector<std::int32_t>>> told_;  // to each
};

class ThreadRanks : public Ranks {
 public:
  ThreadRanks(RankMeeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(meeting_.bytes_.size()); }

  void gather(std::span<std::byte> all, std::span<const std::size_t> ends) override {
    exchange(all, ends, true);
  }
  void gather_at_first(std::span<std::byte> all, std::span<const std::size_t> ends) override {
    exchange(all, ends, rank_ == 0);
  }
  void tell(std::span<const std::int32_t> words) override {
    const std::scoped_lock lock(meeting_.mutex_);
    for (std::size_t other = 1; other < meeting_.told_.size(); ++other) {
      meeting_.told_[other].emplace_back(words.begin(), words.end());
    }
    meeting_.heard_.notify_all();
  }
  std::vector<std::int32_t> hear() override {
    std::unique_lock lock(meeting_.mutex_);
    auto& mine = meeting_.told_[static_cast<std::size_t>(rank_)];
    meeting_.heard_.wait(lock, [&] { return !mine.empty(); });
    std::vector<std::int32_t> words = std::move(mine.front());
    mine.pop_front();
    return words;
  }

  [[noreturn]] void fail(const std::string& why) override { throw std::runtime_error(why); }

  // Bytes that came from others, and in how many exchanges.
  std::size_t received = 0, exchanges = 0;

 private:
  void exchange(std::span<std::byte> all, std::span<const std::size_t> ends, bool receives) {
    ++exchanges;
    meeting_.bytes_[static_cast<std::size_t>(rank_)] = all.data();
    meeting_.barrier_.arrive_and_wait();
    for (std::size_t other = 0; receives && other < ends.size(); ++other) {
      const std::size_t begin = other > 0 ? ends[other - 1] : 0;
      if (other == static_cast<std::size_t>(rank_)) continue;
      std::memcpy(all.data() + begin, meeting_.bytes_[other] + begin, ends[other] - begin);
      received += ends[other] - begin;
    }
    meeting_.barrier_.arrive_and_wait();
  }

  RankMeeting& meeting_;
  int rank_;
};

// Calls lead(engine, ranks) with the engine of rank 0 of so many that follow it.
template <class Lead>
void run_ranks(const ModelFile& file, int n, EngineOptions options, Lead lead) {
  RankMeeting meeting(n);
  std::vector<std::thread> others;
  for (int rank = 1; rank < n; ++rank) {
    others.emplace_back([&, rank] {
      ThreadRanks ranks(meeting, rank);
      EngineOptions mine = options;
      mine.ranks = &ranks;
      Engine engine(file, mine);
      follow(engine, ranks);
    });
  }
  {
    ThreadRanks ranks(meeting, 0);
    options.ranks = &ranks;
    Engine engine(file, options);
    lead(engine, ranks);
  }
  for (std::thread& other : others) other.join();
}

}  // namespace llamajit::test
