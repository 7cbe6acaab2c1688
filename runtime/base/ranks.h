// The processes that run a model together, as the runtime sees them: what they tell each other. Who they are and how
// messages travel, the program knows that starts them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace llamajit {

// Every rank calls the same exchanges in the same order. None of them fails for the caller: where a rank is gone or
// takes too long, the implementation ends the process. Not for several threads at once.
class Ranks {
 public:
  Ranks() = default;
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;
  virtual ~Ranks() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // `all` has the bytes of all ranks: those of rank r end at ends[r], where the next one's begin. This rank's own are
  // there already; the others' are when it returns.
  virtual void gather(std::span<std::byte> all, std::span<const std::size_t> ends) = 0;
  // The same, but that rank 0 alone gets them.
  virtual void gather_at_first(std::span<std::byte> all, std::span<const std::size_t> ends) = 0;

  // Rank 0 tells all others something, and goes on.
  virtual void tell(std::span<const std::int32_t> words) = 0;
  // The others hear it, in the order in which it was told. They may wait long for that, and burn no CPU meanwhile.
  virtual std::vector<std::int32_t> hear() = 0;

  // Ends all ranks, since they can't go on together, and says why.
  [[noreturn]] virtual void fail(const std::string& why) = 0;
};

}  // namespace llamajit
