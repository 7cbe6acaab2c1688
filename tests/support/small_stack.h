// Long inputs: on a thread whose stack could not grow with them, and in a time that a test may ask for.
#pragma once

#include <algorithm>
#include <cstddef>
#include <ctime>
#include <functional>

#include <gtest/gtest.h>
#include <pthread.h>

#include "tests/support/sanitized.h"

namespace llamajit::test {

// Runs it on a thread with this much stack, in bytes.
inline void run_with_stack(std::size_t stack, std::function<void()> work) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, stack), 0);
  pthread_t thread;
  const auto start = [](void* argument) -> void* {
    (*static_cast<std::function<void()>*>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, start, &work), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
inline constexpr double kMebibyteSeconds = 5;  // checked memory accesses, or code that is not optimised
#else
inline constexpr double kMebibyteSeconds = 0.25;  // what is quadratic takes minutes
#endif

// The processor seconds that the fastest of three runs takes with 256 KiB of stack: other programs use this machine, too.
// The sanitizers' limit leaves room enough for one.
inline double best_seconds_on_small_stack(const std::function<void()>& work) {
  double best = 1e9;
  run_with_stack(256 * 1024, [&] {
    for (int i = 0; i < (kSanitized ? 1 : 3); ++i) {
      const std::clock_t start = std::clock();
      work();
      best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
    }
  });
  return best;
}

}  // namespace llamajit::test
