// Landlock: which files a thread reaches, whatever its user may.
#pragma once

#include <string>
#include <vector>

#include "jit/base/file_descriptor.h"

namespace llamajit::sandbox {

class Landlock {
 public:
  // Files beneath these folders, and no others. Throws std::runtime_error that names a folder that can't be opened.
  explicit Landlock(const std::vector<std::string>& folders);

  // From now on. Returns why not; "" where all threads are held.
  std::string hold_all_threads() const;

 private:
  jit::FileDescriptor rules_;
  std::string refusal_;  // why there are none
};

}  // namespace llamajit::sandbox
