#include "runtime/base/mapped_file.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace llamajit {
namespace {

// The fault handler knows this much of a mapping. The atomics
// are lock-free, because a handler may touch nothing else.
struct Slot {
  std::atomic<bool> taken{false};
  std::atomic<std::uintptr_t> begin{0};  // 0: no mapping here (yet, or any more)
  std::atomic<std::size_t> size{0};      // bytes
  std::atomic<bool> faulted{false};
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free);

constexpr int kSlots = 256;  // mappings at one time; a model in parts takes one for each part
std::array<Slot, kSlots> slots;
struct sigaction previous_action;  // whoever handled SIGBUS before; written before the handler can run
std::uintptr_t page_size = 0;      // bytes

// Puts zeros from the page at `address` to its mapping's end: what a truncation took away is a tail, and one
// mapping for the whole of it costs one fault rather than one for each page. Async-signal-safe.
bool replace_lost_pages(std::uintptr_t address) {
  for (Slot& slot : slots) {
    const std::uintptr_t begin = slot.begin.load(std::memory_order_acquire);
    const std::size_t size = slot.size.load(std::memory_order_acquire);
    if (begin == 0 || address < begin || address - begin >= size) continue;
    // A slot that changes hands meanwhile is not the one of a mapping that someone is reading from.
    if (slot.begin.load(std::memory_order_acquire) != begin) continue;
    const std::uintptr_t page = address & ~(page_size - 1);
    // Before the pages change, so that nobody can read a zero and then find the file intact.
    slot.faulted.store(true, std::memory_order_release);
    void* zeros = ::mmap(reinterpret_cast<void*>(page), begin + size - page, PROT_READ,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    return zeros != MAP_FAILED;
  }
  return false;
}

// A SIGBUS that is not about one of our mappings has the effect it would have had without us.
void pass_on(int signal, siginfo_t* info, void* context) {
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(signal, info, context);
    return;
  }
  const bool sent_by_a_process = info->si_code <= 0;
  if (previous_action.sa_handler == SIG_IGN && sent_by_a_process) return;
  if (previous_action.sa_handler != SIG_IGN && previous_action.sa_handler != SIG_DFL) {
    previous_action.sa_handler(signal);
    return;
  }
  // The signal is blocked while its handler runs: raised here, it ends the process on return.
  struct sigaction default_action = {};
  default_action.sa_handler = SIG_DFL;
  ::sigaction(signal, &default_action, nullptr);
  ::raise(signal);
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const bool is_fault = info->si_code > 0;  // only then is si_addr an address
  if (!is_fault || !replace_lost_pages(reinterpret_cast<std::uintptr_t>(info->si_addr))) {
    pass_on(signal, info, context);
  }
  errno = saved_errno;
}

bool install_fault_handler() {
  page_size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  struct sigaction action = {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  return ::sigaction(SIGBUS, nullptr, &previous_action) == 0 && ::sigaction(SIGBUS, &action, nullptr) == 0;
}

[[noreturn]] void fail(const std::string& path, std::string_view what, int error) {
  throw std::runtime_error(fmt::format("{}: {}: {}", path, what, std::generic_category().message(error)));
}

int take_slot(const std::string& path) {
  static const bool installed = install_fault_handler();
  if (!installed) throw std::runtime_error(fmt::format("{}: cannot install a handler for SIGBUS", path));
  for (int i = 0; i < kSlots; ++i) {
    Slot& slot = slots[static_cast<std::size_t>(i)];
    if (!slot.taken.exchange(true, std::memory_order_acq_rel)) {
      slot.faulted.store(false, std::memory_order_release);
      return i;
    }
  }
  throw std::runtime_error(
      fmt::format("{}: cannot map: expected at most {} mapped files at a time, found more", path, kSlots));
}

// The size in bytes of an open file that can be mapped.
std::size_t mappable_size(const std::string& path, int fd) {
  struct stat status = {};
  if (::fstat(fd, &status) != 0) fail(path, "cannot read the file's size", errno);
  if (!S_ISREG(status.st_mode)) {
    throw std::runtime_error(
        fmt::format("{}: expected a regular file, found {}", path,
                    S_ISDIR(status.st_mode) ? "a directory" : "a device, pipe or socket"));
  }
  if (status.st_size <= 0)
    throw std::runtime_error(fmt::format("{}: expected data, found an empty file", path));
  return static_cast<std::size_t>(status.st_size);
}

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
  try {
    // O_NONBLOCK so that a pipe is refused below rather than waited for.
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd_ < 0) fail(path, "cannot open", errno);
    const std::size_t size = mappable_size(path, fd_);
    slot_ = take_slot(path);
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd_, 0);
    if (data == MAP_FAILED) fail(path, "cannot map", errno);
    data_ = static_cast<const std::byte*>(data);
    size_ = size;
    (void)madvise(data, size, MADV_DONTDUMP);  // core files need no copy of a file that there is
    Slot& slot = slots[static_cast<std::size_t>(slot_)];
    slot.size.store(size, std::memory_order_release);
    slot.begin.store(reinterpret_cast<std::uintptr_t>(data), std::memory_order_release);
  } catch (...) {
    release();
    throw;
  }
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      fd_(std::exchange(other.fd_, -1)),
      slot_(std::exchange(other.slot_, -1)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    release();
    path_ = std::move(other.path_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    fd_ = std::exchange(other.fd_, -1);
    slot_ = std::exchange(other.slot_, -1);
  }
  return *this;
}

MappedFile::~MappedFile() {
  release();
}

void MappedFile::check_intact() const {
  if (data_ == nullptr) return;
  struct stat status = {};
  if (::fstat(fd_, &status) != 0) fail(path_, "cannot read the file's size", errno);
  if (static_cast<std::uint64_t>(status.st_size) < size_) {
    throw std::runtime_error(
        fmt::format("{}: the file was truncated while in use: expected {} bytes, found {}", path_, size_,
                    status.st_size));
  }
  if (slots[static_cast<std::size_t>(slot_)].faulted.load(std::memory_order_acquire)) {
    throw std::runtime_error(fmt::format(
        "{}: part of the file could not be read while in use: truncated and grown again, or a disk error",
        path_));
  }
}

void MappedFile::drop_pages(std::span<const std::byte> bytes) const noexcept {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::byte* const file_end = data_ + size_;
  const std::byte* const begin = std::max(bytes.data(), data_, std::less<>());
  const std::byte* const end = std::min(bytes.data() + bytes.size(), file_end, std::less<>());
  if (begin >= end) return;
  const std::size_t first = (static_cast<std::size_t>(begin - data_) + page - 1) / page * page;
  // Nothing but the file's end lies in its last page.
  const std::size_t last = end == file_end ? size_ : static_cast<std::size_t>(end - data_) / page * page;
  if (first < last) (void)::madvise(const_cast<std::byte*>(data_) + first, last - first, MADV_DONTNEED);
}

void MappedFile::drop_pages() const noexcept {
  drop_pages(bytes());
}

void MappedFile::release() noexcept {
  if (slot_ >= 0) slots[static_cast<std::size_t>(slot_)].begin.store(0, std::memory_order_release);
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  if (slot_ >= 0) slots[static_cast<std::size_t>(slot_)].taken.store(false, std::memory_order_release);
  if (fd_ >= 0) ::close(fd_);
  data_ = nullptr;
  size_ = 0;
  fd_ = slot_ = -1;
}

}  // namespace llamajit
