#include "tokenizer/key_queue.h"

#include <cstdint>
#include <functional>
#include <queue>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace llamajit::key_queue_test {
namespace {

// Mixes pushes and pops, and orders from all rising to all random, so that runs and heap both take part.
TEST(KeyQueue, GivesTheKeysOfAPriorityQueue) {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    const std::uint32_t spread = 1u << (seed % 20);
    KeyQueue queue;
    std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> expected;
    for (std::uint64_t step = 0; step < 500; ++step) {
      if (random() % 3 != 0) {
        const std::uint64_t key = random() % 10 == 0 ? UINT64_MAX : step * 16 + random() % spread;
        queue.push(key);
        expected.push(key);
      } else if (!expected.empty()) {
        ASSERT_EQ(queue.pop(), expected.top()) << "seed " << seed;
        expected.pop();
      }
      ASSERT_EQ(queue.empty(), expected.empty());
    }
    for (; !expected.empty(); expected.pop()) ASSERT_EQ(queue.pop(), expected.top()) << "seed " << seed;
    EXPECT_TRUE(queue.empty());
  }
}

}  // namespace
}  // namespace llamajit::key_queue_test
