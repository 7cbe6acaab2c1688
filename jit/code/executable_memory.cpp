#include "jit/code/executable_memory.h"

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include "jit/base/file_descriptor.h"

// Linux 6.3; Debian 12's headers know it only from newer kernels.
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

namespace llamajit::jit {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

int create_anonymous_file() {
  const int fd = memfd_create("llamajit-kernels", MFD_CLOEXEC | MFD_EXEC);
  if (fd >= 0 || errno != EINVAL) return fd;
  return memfd_create("llamajit-kernels",
                      MFD_CLOEXEC);  // a kernel older than MFD_EXEC, where all may execute
}

}  // namespace

ExecutableMemory::ExecutableMemory(std::span<const std::uint8_t> code, bool breakpoints) {
  if (code.empty()) return;
  const FileDescriptor file(create_anonymous_file());
  if (file.get() < 0) fail("memfd_create for generated code");
  if (ftruncate(file.get(), static_cast<off_t>(code.size())) != 0) fail("ftruncate for generated code");
  void* writable = mmap(nullptr, code.size(), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (writable == MAP_FAILED) fail("mmap of generated code for writing");
  std::memcpy(writable, code.data(), code.size());
  munmap(writable, code.size());
  const int kind = breakpoints ? MAP_PRIVATE : MAP_SHARED;
  void* executable = mmap(nullptr, code.size(), PROT_READ | PROT_EXEC, kind, file.get(), 0);
  if (executable == MAP_FAILED) fail("mmap of generated code for execution");
  data_ = static_cast<const std::uint8_t*>(executable);
  size_ = code.size();
}

ExecutableMemory::ExecutableMemory(ExecutableMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

ExecutableMemory& ExecutableMemory::operator=(ExecutableMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

ExecutableMemory::~ExecutableMemory() {
  if (data_ != nullptr) munmap(const_cast<std::uint8_t*>(data_), size_);
}

}  // namespace llamajit::jit
