#include "runtime/forward/exchange.h"

#include <cstring>
#include <numeric>
#include <stdexcept>

#include <fmt/format.h>

namespace llamajit {

Split split_between(const Ranks& ranks, const std::vector<int>& shares) {
  const std::vector<int> even(static_cast<std::size_t>(ranks.size()), 1);
  if (!shares.empty() && shares.size() != even.size()) {
    throw std::runtime_error(
        fmt::format("shares: expected {}, one of each rank, found {}", even.size(), shares.size()));
  }
  return {shares.empty() ? even : shares, ranks.rank()};
}

void Peers::meet() {
  std::vector<std::byte> byte_of_each(static_cast<std::size_t>(ranks.size()));
  std::vector<std::size_t> ends(byte_of_each.size());
  std::iota(ends.begin(), ends.end(), std::size_t{1});
  ranks.gather(byte_of_each, ends);
}

template <class See>
void Exchange::for_each_run(int rank, std::int64_t rows, See see) const {
  for (const Spread& spread : spreads_) {
    const Split::Part& part = spread.parts[static_cast<std::size_t>(rank)];
    if (part.first == part.second) continue;
    const auto see_row = [&](std::int64_t row) {
      std::byte* const bytes = spread.data + row * spread.stride;
      if (spread.at == nullptr)
        return see(bytes + part.first, static_cast<std::size_t>(part.second - part.first));
      const std::int32_t token = spread.at[row].token;
      if (part.first <= token && token < part.second) see(bytes, static_cast<std::size_t>(spread.n));
    };
    if (spread.table == nullptr) {
      for (std::int64_t row = 0; row < rows; ++row) see_row(row);
    } else {
      for (const ExpertTable::Place& place : spread.table->places()) see_row(place.position);
    }
  }
}

std::optional<std::span<std::byte>> Exchange::single_row(std::int64_t rows) const {
  if (rows != 1 || spreads_.size() != 1 || spreads_.front().table != nullptr) return {};
  const Spread& spread = spreads_.front();
  return std::span(spread.data, static_cast<std::size_t>(spread.n));
}

void Exchange::exchange(std::span<std::byte> all) {
  at_first_ ? peers_.ranks.gather_at_first(all, ends_) : peers_.ranks.gather(all, ends_);
}

void Exchange::run(std::int64_t rows) {
  const int ranks = peers_.split.ranks(), own = peers_.split.rank();
  ends_.clear();
  std::size_t bytes = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    for_each_run(rank, rows, [&](const std::byte* /*first*/, std::size_t n) { bytes += n; });
    ends_.push_back(bytes);
  }
  if (const auto row = single_row(rows)) return exchange(*row);
  if (peers_.buffer.size() < bytes) peers_.buffer.resize(bytes);
  const auto begin_of = [&](int rank) {
    return peers_.buffer.data() + (rank > 0 ? ends_[static_cast<std::size_t>(rank) - 1] : 0);
  };
  std::byte* to = begin_of(own);
  for_each_run(own, rows, [&](const std::byte* first, std::size_t n) {
    std::memcpy(to, first, n);
    to += n;
  });
  exchange(std::span(peers_.buffer).first(bytes));
  if (at_first_ && own > 0) return;
  for (int rank = 0; rank < ranks; ++rank) {
    if (rank == own) continue;
    const std::byte* from = begin_of(rank);
    for_each_run(rank, rows, [&](std::byte* first, std::size_t n) {
      std::memcpy(first, from, n);
      from += n;
    });
  }
}

}  // namespace llamajit
