// A priority queue of numbers that come mostly in order.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <queue>
#include <vector>

namespace llamajit {

// Gives back the smallest key first. Merges in repetitive text offer their keys in a few interleaved rising
// sequences; those go to sorted runs, with O(1) and no cache misses, and only the others go through a heap.
// In the worst case everything is in the heap: O(log n) a key.
class KeyQueue {
 public:
  void push(std::uint64_t key) {
    for (Run& run : runs_) {
      if (run.empty() || run.keys.back() <= key) return run.push(key);
    }
    heap_.push(key);
  }

  bool empty() const {
    return heap_.empty() && std::all_of(runs_.begin(), runs_.end(), [](const Run& r) { return r.empty(); });
  }

  // Removes and returns the smallest key; there must be one.
  std::uint64_t pop() {
    Run* best = nullptr;
    std::uint64_t smallest = heap_.empty() ? std::numeric_limits<std::uint64_t>::max() : heap_.top();
    for (Run& run : runs_) {
      if (!run.empty() && run.keys[run.head] <= smallest) {
        smallest = run.keys[run.head];
        best = &run;
      }
    }
    if (best != nullptr) {
      ++best->head;
    } else {
      heap_.pop();
    }
    return smallest;
  }

 private:
  struct Run {
    std::vector<std::uint64_t> keys;  // rising
    std::size_t head = 0;             // the keys before it are gone

    bool empty() const { return head == keys.size(); }
    void push(std::uint64_t key) {
      if (empty()) {
        keys.clear();
        head = 0;
      }
      keys.push_back(key);
    }
  };

  std::array<Run, 4> runs_;
  std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> heap_;
};

}  // namespace llamajit
