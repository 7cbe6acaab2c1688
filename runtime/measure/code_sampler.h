// Where in the generated code the time goes: a timer interrupts the thread that runs it, and each time the
// next instruction's address is kept.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "runtime/forward/engine.h"

namespace llamajit {

struct CodeSamples {
  // How often the thread stood before the byte at this offset of CodeCache::code().
  std::vector<std::uint32_t> at;
  std::int64_t inside = 0;   // all of these together
  std::int64_t outside = 0;  // samples elsewhere: in C++, in the system
  double seconds = 0;        // that it took

  // Returns how many samples fell on the bytes [begin, end).
  std::int64_t in(std::size_t begin, std::size_t end) const;
};

// Calls run(), which calls kernels of the engine on this thread, over and over for `seconds` (at least once),
// about ten thousand samples each second. For an engine of one thread and a tier that generates; one at a
// time in a process, as SIGPROF is used meanwhile. Throws std::system_error if the system gives no timer.
CodeSamples sample_code(const Engine& engine, double seconds, const std::function<void()>& run);

}  // namespace llamajit
