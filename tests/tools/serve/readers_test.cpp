// Threads that read requests.
#include "tools/serve/readers.h"

#include <algorithm>
#include <future>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace llamajit::serve::readers_test {
namespace {

int own_priority() {
  return getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()));
}

// 19 is the lowest there is.
TEST(Readers, HaveALowerPriorityThanWhoeverWritesTexts) {
  std::promise<int> reading;
  {
    Readers readers(1);
    readers.post([&] { reading.set_value(own_priority()); });
  }
  EXPECT_EQ(reading.get_future().get(), std::min(own_priority() + 5, 19));
}

}  // namespace
}  // namespace llamajit::serve::readers_test
