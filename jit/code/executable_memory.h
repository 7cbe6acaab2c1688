// Memory that holds finished machine code: readable and executable, never writable while it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace llamajit::jit {

class ExecutableMemory {
 public:
  ExecutableMemory() = default;
  // Copies position-independent code into fresh executable pages. They belong to an anonymous file that is
  // written through a first mapping, which is gone before the second, executable one is made; no page is ever
  // both, so this also works where the kernel denies that a page becomes executable (PR_SET_MDWE). Where
  // there can be no such file (a limit on the size of files, vm.memfd_noexec, seccomp), pages without a file
  // stop being writable as they become executable. With `breakpoints`, a debugger may put some there: Linux
  // lets it write to private mappings only, while shared ones are in every core file. Throws
  // std::system_error where the system has no executable memory to give.
  explicit ExecutableMemory(std::span<const std::uint8_t> code, bool breakpoints = false);
  ExecutableMemory(ExecutableMemory&& other) noexcept;
  ExecutableMemory& operator=(ExecutableMemory&& other) noexcept;
  ExecutableMemory(const ExecutableMemory&) = delete;
  ExecutableMemory& operator=(const ExecutableMemory&) = delete;
  ~ExecutableMemory();

  const std::uint8_t* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace llamajit::jit
