// gdb's JIT interface: an image in this process's memory that gdb reads when it is registered, when gdb
// attaches later, or from a core file.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace llamajit::jit::inspect {

// Registers an image for as long as it lives.
class GdbRegistration {
 public:
  explicit GdbRegistration(std::vector<std::uint8_t> image);
  GdbRegistration(const GdbRegistration&) = delete;
  GdbRegistration& operator=(const GdbRegistration&) = delete;
  ~GdbRegistration();

 private:
  struct Entry;
  std::unique_ptr<Entry> entry_;
};

// Core files of this process will hold what it has mapped privately from files, like the kernels for gdb.
void dump_private_mappings();

// Says whether a debugger traces this process now.
bool debugger_attached();

}  // namespace llamajit::jit::inspect
