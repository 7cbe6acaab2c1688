// A priority queue of numbers that come mostly in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

namespace llamajit {

// Gives back the smallest key first. A key that is not smaller than the last of the sorted run goes there,
// with O(1) and no cache misses: merges in repetitive text offer theirs so. The others go through a heap, in
// the worst case all of them: O(log n) a key.
class KeyQueue {
 public:
  void push(std::uint64_t key) {
    if (run_is_empty()) {
      run_.clear();
      head_ = 0;
    }
    if (run_.empty() || run_.back() <= key) {
      run_.push_back(key);
    } else {
      heap_.push(key);
    }
  }

  bool empty() const { return heap_.empty() && run_is_empty(); }

  // Removes and returns the smallest key; there must be one.
  std::uint64_t pop() {
    if (heap_.empty() || (!run_is_empty() && run_[head_] <= heap_.top())) return run_[head_++];
    const std::uint64_t smallest = heap_.top();
    heap_.pop();
    return smallest;
  }

 private:
  bool run_is_empty() const { return head_ == run_.size(); }

  std::vector<std::uint64_t> run_;  // rising
  std::size_t head_ = 0;            // the keys before it are gone
  std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> heap_;
};

}  // namespace llamajit
