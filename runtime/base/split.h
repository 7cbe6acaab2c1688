// How what a model has is split between ranks, processes that run it together: each takes a run of rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace llamajit {

class Split {
 public:
  using Part = std::pair<std::int64_t, std::int64_t>;  // [first, second)

  // One rank, which has all.
  Split() = default;
  // Rank r has shares[r] parts of their sum; the shares are positive, and small enough for their sum to be an int.
  Split(const std::vector<int>& shares, int rank) : ends_{0}, rank_(rank) {
    for (const int share : shares) ends_.push_back(ends_.back() + share);
  }

  int rank() const { return rank_; }
  int ranks() const { return static_cast<int>(ends_.size()) - 1; }
  bool alone() const { return ranks() == 1; }

  // Of n things those of a rank: the ranks' follow each other. With equal shares, as even as can be.
  Part of(std::int64_t n, int rank) const {
    const auto r = static_cast<std::size_t>(rank);
    return {n * ends_[r] / ends_.back(), n * ends_[r + 1] / ends_.back()};
  }
  Part own(std::int64_t n) const { return of(n, rank_); }

 private:
  std::vector<std::int64_t> ends_{0, 1};  // of the ranks' shares
  int rank_ = 0;
};

}  // namespace llamajit
