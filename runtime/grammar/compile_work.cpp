#include "runtime/grammar/compile_work.h"

#include <stdexcept>

#include <fmt/format.h>

namespace llamajit {

void CompileWork::refuse_steps(std::string_view reason) const {
  throw std::runtime_error(
      fmt::format("{}: expected less work to compile than {} steps, found more; the last of them were for "
                  "{}, and repetitions "
                  "within repetitions, long classes and many alternatives take most",
                  name_, kMaxSteps, reason));
}

void CompileWork::refuse_bytes(std::string_view reason) const {
  throw std::runtime_error(fmt::format(
      "{}: expected less memory to compile than {} bytes, found more; the last of them were for {}", name_,
      kMaxBytes, reason));
}

}  // namespace llamajit
