// perf's files about code that has no executable file: the jitdump, from which perf makes object files with
// line tables, and the older map of addresses to names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "jit/base/file_descriptor.h"
#include "jit/inspect/image.h"

namespace llamajit::jit::inspect {

// DIRECTORY/jit-PID.dump. perf learns of it from a mapping that is made of it, executable, while it records;
// that stays as long as this object.
class JitDump {
 public:
  // Throws std::system_error.
  explicit JitDump(const std::string& directory);
  JitDump(const JitDump&) = delete;
  JitDump& operator=(const JitDump&) = delete;
  ~JitDump();

  // A kernel that runs at `address`, and its listing's folder. Throws std::system_error.
  void add(const ImageKernel& kernel, std::span<const std::uint8_t> code, const std::uint8_t* address,
           const std::string& listing_directory);
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  FileDescriptor file_;
  void* marker_ = nullptr;
  std::size_t marker_bytes_ = 0;
  std::uint64_t next_index_ = 0;
};

// /tmp/perf-PID.map: for tools that look code up by its address alone. Throws std::system_error.
void write_perf_map(const std::vector<ImageKernel>& kernels, const std::uint8_t* text);

}  // namespace llamajit::jit::inspect
