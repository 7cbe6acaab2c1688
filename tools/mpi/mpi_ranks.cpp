#include "tools/mpi/mpi_ranks.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <immintrin.h>
#include <sched.h>
#include <unistd.h>

namespace llamajit::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::seconds;

constexpr int kGatherTag = 1, kTellTag = 2;
// A message may be as long as a step's values; MPI counts with an int.
constexpr std::size_t kMostBytes = std::size_t{1} << 30;
// So often, some 50 us, a rank looks for messages before it makes way for others between looks.
constexpr unsigned kTestsAlone = 100;
// Loading a model, of which nothing is heard: from a slow disk it may take minutes.
constexpr seconds kLoading{3600};
// A rank that waits for orders looks for them all the time for so long, then from time to time.
constexpr microseconds kAwake{2000};
constexpr microseconds kFirstNap{50}, kLongestNap{5000};

}  // namespace

MpiRanks::MpiRanks(seconds patience) : patience_(patience) {
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm local = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &local);
  MPI_Comm_rank(local, &local_rank_);
  MPI_Comm_size(local, &local_size_);
  MPI_Comm_free(&local);
  std::array<char, 256> own{};
  (void)gethostname(own.data(), own.size() - 1);
  std::vector<std::array<char, 256>> all(static_cast<std::size_t>(size_));
  MPI_Allgather(own.data(), static_cast<int>(own.size()), MPI_CHAR, all.data(), static_cast<int>(own.size()),
                MPI_CHAR, MPI_COMM_WORLD);
  for (const auto& host : all) hosts_.emplace_back(host.data());
}

MpiRanks::~MpiRanks() {
  for (const Message& message : told_) {
    for (std::size_t i = 0; i < message.requests.size(); ++i) {
      requests_.push_back(message.requests[i]);
      peers_.push_back(static_cast<int>(i) + 1);
    }
  }
  wait();
}

std::string MpiRanks::name_of(int rank) const {
  return fmt::format("rank {} on {}", rank, hosts_[static_cast<std::size_t>(rank)]);
}

void MpiRanks::fail(const std::string& what) {
  std::fputs(fmt::format("llamajit-mpi: {}\n", what).c_str(), stderr);
  std::fflush(stderr);
  MPI_Abort(MPI_COMM_WORLD, 1);
  _exit(1);  // where that returns
}

void MpiRanks::check(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  fail(fmt::format("{}: {}: {}", name_of(rank_), what, text.data()));
}

void MpiRanks::receive(int from, std::byte* to, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += kMostBytes) {
    check(MPI_Irecv(to + at, static_cast<int>(std::min(bytes - at, kMostBytes)), MPI_BYTE, from, kGatherTag,
                    MPI_COMM_WORLD, &requests_.emplace_back()),
          "receive");
    peers_.push_back(from);
  }
}

void MpiRanks::send(int to, const std::byte* from, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += kMostBytes) {
    check(MPI_Isend(from + at, static_cast<int>(std::min(bytes - at, kMostBytes)), MPI_BYTE, to, kGatherTag,
                    MPI_COMM_WORLD, &requests_.emplace_back()),
          "send");
    peers_.push_back(to);
  }
}

void MpiRanks::exchange(std::span<std::byte> all, std::span<const std::size_t> ends, bool receives,
                        bool sends) {
  const auto begin_of = [&](int rank) { return rank > 0 ? ends[static_cast<std::size_t>(rank) - 1] : 0; };
  const auto bytes_of = [&](int rank) { return ends[static_cast<std::size_t>(rank)] - begin_of(rank); };
  // The next one first, so that not all send to the same.
  for (int i = 1; i < size_ && receives; ++i) {
    const int from = (rank_ + size_ - i) % size_;
    receive(from, all.data() + begin_of(from), bytes_of(from));
  }
  for (int i = 1; i < size_ && sends; ++i) {
    const int to = (rank_ + i) % size_;
    if (receives || to == 0) send(to, all.data() + begin_of(rank_), bytes_of(rank_));
  }
  wait();
}

void MpiRanks::gather(std::span<std::byte> all, std::span<const std::size_t> ends) {
  exchange(all, ends, true, true);
}

void MpiRanks::gather_at_first(std::span<std::byte> all, std::span<const std::size_t> ends) {
  exchange(all, ends, rank_ == 0, rank_ > 0);
}

void MpiRanks::wait() {
  const auto start = Clock::now();
  for (unsigned i = 1; !requests_.empty(); ++i) {
    int done = 0;
    check(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE),
          "exchange");
    if (done != 0) break;
    // Ranks that nobody knows to share a CPU (a launcher's binding, a container's) would wait for a time slice each.
    if (crowded_ || i > kTestsAlone) {
      sched_yield();
    } else {
      _mm_pause();
    }
    if (i % 256 == 0 && Clock::now() - start > (loading_ ? kLoading : patience_)) give_up();
  }
  requests_.clear();
  peers_.clear();
  loading_ = false;
}

// One of those who wait says so; the others only if that one is what they wait for.
void MpiRanks::give_up() {
  std::set<int> missing;
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    int done = 0;
    if (requests_[i] != MPI_REQUEST_NULL) MPI_Test(&requests_[i], &done, MPI_STATUS_IGNORE);
    if (requests_[i] != MPI_REQUEST_NULL && done == 0) missing.insert(peers_[i]);
  }
  if (rank_ > 0) std::this_thread::sleep_for(seconds(2));
  std::vector<std::string> names;
  names.reserve(missing.size());
  for (const int rank : missing) names.push_back(name_of(rank));
  // By its own name, as g++ 12 takes a virtual call to return.
  MpiRanks::fail(
      fmt::format("{}: nothing came for {} s; the run is ended", fmt::join(names, ", "), patience_.count()));
}

void MpiRanks::tell(std::span<const std::int32_t> words) {
  told_.remove_if([](Message& message) {
    int done = 0;
    MPI_Testall(static_cast<int>(message.requests.size()), message.requests.data(), &done,
                MPI_STATUSES_IGNORE);
    return done != 0;
  });
  Message& message = told_.emplace_back();
  message.words.assign(words.begin(), words.end());
  message.requests.resize(static_cast<std::size_t>(size_) - 1);
  for (int to = 1; to < size_; ++to) {
    check(MPI_Isend(message.words.data(), static_cast<int>(message.words.size()), MPI_INT32_T, to, kTellTag,
                    MPI_COMM_WORLD, &message.requests[static_cast<std::size_t>(to) - 1]),
          "send");
  }
}

std::vector<std::int32_t> MpiRanks::hear() {
  const auto start = Clock::now();
  microseconds nap = kFirstNap;
  for (;;) {
    int there = 0;
    MPI_Message message{};
    MPI_Status status{};
    check(MPI_Improbe(0, kTellTag, MPI_COMM_WORLD, &there, &message, &status), "hear");
    if (there != 0) {
      int n = 0;
      MPI_Get_count(&status, MPI_INT32_T, &n);
      std::vector<std::int32_t> words(static_cast<std::size_t>(n));
      check(MPI_Mrecv(words.data(), n, MPI_INT32_T, &message, MPI_STATUS_IGNORE), "hear");
      return words;
    }
    if (Clock::now() - start < kAwake) {
      sched_yield();
      continue;
    }
    std::this_thread::sleep_for(nap);
    nap = std::min(nap + nap / 8, kLongestNap);
  }
}

}  // namespace llamajit::cli
