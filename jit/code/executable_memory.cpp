#include "jit/code/executable_memory.h"

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "jit/base/file_descriptor.h"

// Linux 6.3; Debian 12's headers know it only from newer kernels.
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

namespace llamajit::jit {
namespace {

int create_anonymous_file() {
  const int fd = memfd_create("llamajit-kernels", MFD_CLOEXEC | MFD_EXEC);
  if (fd >= 0 || errno != EINVAL) return fd;
  return memfd_create("llamajit-kernels",
                      MFD_CLOEXEC);  // a kernel older than MFD_EXEC, where all may execute
}

// Whether a file may grow to this size: a limit on files counts for
// anonymous ones, too, and to exceed it kills by SIGXFSZ.
bool file_may_have(std::size_t size) {
  rlimit limit{};
  return getrlimit(RLIMIT_FSIZE, &limit) == 0 && (limit.rlim_cur == RLIM_INFINITY || size <= limit.rlim_cur);
}

// All return nullptr where the system refuses.
void* map(std::size_t size, int protection, int kind, int fd) {
  void* const address = mmap(nullptr, size, protection, kind, fd, 0);
  return address == MAP_FAILED ? nullptr : address;
}

void* map_through_file(std::span<const std::uint8_t> code, bool breakpoints) {
  if (!file_may_have(code.size())) return nullptr;
  const FileDescriptor file(create_anonymous_file());
  if (file.get() < 0 || ftruncate(file.get(), static_cast<off_t>(code.size())) != 0) return nullptr;
  void* const writable = map(code.size(), PROT_READ | PROT_WRITE, MAP_SHARED, file.get());
  if (writable == nullptr) return nullptr;
  std::memcpy(writable, code.data(), code.size());
  munmap(writable, code.size());
  return map(code.size(), PROT_READ | PROT_EXEC, breakpoints ? MAP_PRIVATE : MAP_SHARED, file.get());
}

void* map_anonymous(std::span<const std::uint8_t> code) {
  void* const memory = map(code.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  if (memory == nullptr) return nullptr;
  std::memcpy(memory, code.data(), code.size());
  if (mprotect(memory, code.size(), PROT_READ | PROT_EXEC) == 0) return memory;
  const int error = errno;
  munmap(memory, code.size());
  errno = error;
  return nullptr;
}

}  // namespace

ExecutableMemory::ExecutableMemory(std::span<const std::uint8_t> code, bool breakpoints) {
  if (code.empty()) return;
  void* memory = map_through_file(code, breakpoints);
  if (memory == nullptr) memory = map_anonymous(code);
  if (memory == nullptr) {
    throw std::system_error(errno, std::generic_category(),
                            "generated code: expected executable memory (the scalar tier needs none)");
  }
  data_ = static_cast<const std::uint8_t*>(memory);
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
