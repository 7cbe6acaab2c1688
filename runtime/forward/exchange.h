// What ranks get of each other between the steps of a program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "jit/kernels/cursor.h"
#include "runtime/base/ranks.h"
#include "runtime/base/split.h"
#include "runtime/forward/experts.h"

namespace llamajit {

// With shares, one of each rank, or even without. Throws std::runtime_error where there are more or fewer.
Split split_between(const Ranks& ranks, const std::vector<int>& shares);

// The ranks, as an engine sees them.
struct Peers {
  Peers(Ranks& all, Split split_of_all) : ranks(all), split(std::move(split_of_all)) {}
  // Waits for all: they have loaded the model.
  void meet();

  Ranks& ranks;
  Split split;
  std::vector<std::byte> buffer{};  // what exchanges need, one at a time
};

// Rows of which each rank has something: in each row a part of its bytes, or some of the rows.
struct Spread {
  std::byte* data = nullptr;
  std::int64_t stride = 0;             // bytes from a row to the next one
  std::int64_t n = 0;                  // a row's bytes
  std::vector<Split::Part> parts{};    // of each rank: bytes of a row; with `at` tokens, whose rows it has
  const ExpertTable* table = nullptr;  // whose places are the rows; else as many as there are at hand
  const jit::Cursor* at = nullptr;     // of each row
};

// Makes rows whole, of several matrices at once: each rank sends what it has to all others, or to rank 0 alone.
class Exchange {
 public:
  Exchange(Peers& peers, std::vector<Spread> spreads, bool at_first)
      : peers_(peers), spreads_(std::move(spreads)), at_first_(at_first) {}

  // For so many rows at hand.
  void run(std::int64_t rows);

 private:
  // Calls see(first byte, n) for all that a rank has, in an order that all ranks know.
  template <class See>
  void for_each_run(int rank, std::int64_t rows, See see) const;
  // The only row of a matrix, whose parts lie side by side: it needs no copies.
  std::optional<std::span<std::byte>> single_row(std::int64_t rows) const;
  void exchange(std::span<std::byte> all);

  Peers& peers_;
  std::vector<Spread> spreads_;
  bool at_first_;
  std::vector<std::size_t> ends_;  // of the ranks' bytes
};

}  // namespace llamajit
