// What rank 0 does with its engine and its sequences, told to the other ranks, which do the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "runtime/base/ranks.h"
#include "runtime/forward/batch.h"

namespace llamajit {

class Engine;
struct Tuning;

// Rank 0 has one. What becomes of sequences costs no message: it goes with the next step.
class Journal {
 public:
  explicit Journal(Ranks& ranks) : ranks_(ranks) {}

  // A new, empty sequence; returns what it is known by.
  int begin();
  void drop(int sequence);
  void cut(int sequence, int length);
  // `to`, which is there, becomes what fork() of the other one gives.
  void fork(int sequence, int to, int length);

  // These tell the ranks what has been noted, too.
  void step(const Batch& batch);
  void use(const Tuning& tuning);
  void end();

 private:
  enum class Entry : std::int32_t { begin, drop, cut, fork, step, use, end };
  friend void follow(Engine& engine, Ranks& ranks);
  // `more` numbers follow.
  void note(Entry entry, std::initializer_list<int> numbers, std::size_t more = 0);
  void tell();

  Ranks& ranks_;
  std::vector<std::int32_t> words_;
  int next_ = 0;
};

// Does what rank 0 tells until it ends. The engine's own sequence stays as it is.
void follow(Engine& engine, Ranks& ranks);

}  // namespace llamajit
