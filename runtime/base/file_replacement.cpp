#include "runtime/base/file_replacement.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace llamajit {

namespace fs = std::filesystem;

std::string written_file(const std::string& path) {
  std::error_code error;
  // What the system follows is what it would follow for any program: /tmp's links of others it does not (proc(5),
  // protected_symlinks).
  const fs::file_status status = fs::status(path, error);
  if (fs::exists(status)) {
    const fs::path there = fs::canonical(path, error);
    return error ? path : there.string();  // a pipe, through /dev/stdout, has none
  }
  if (!fs::status_known(status)) throw std::runtime_error(fmt::format("{}: {}", path, error.message()));
  constexpr int kMostLinks = 40;  // as the kernel has it; somebody may be changing them
  fs::path at(path);
  for (int i = 0; i < kMostLinks && fs::is_symlink(fs::symlink_status(at, error)); ++i) {
    at = at.parent_path() / fs::read_symlink(at);
  }
  return at.string();
}

void refuse_replacing(const std::string& out, std::span<const std::string> read) {
  for (const std::string& path : read) {
    std::error_code absent;
    if (!fs::equivalent(path, out, absent)) continue;
    throw std::runtime_error(fmt::format("{}: expected another file than what is read, found {}", out, path));
  }
}

FileReplacement::FileReplacement(const std::string& path) : named_(path), path_(written_file(path)) {
  std::error_code error;
  const fs::file_status status = fs::status(path_, error);
  const bool exists = fs::exists(status);
  if (!fs::path(path_).has_filename() || (exists && !fs::is_regular_file(status))) {
    throw std::runtime_error(
        fmt::format("{}: expected a regular file or none, found something else", named_));
  }
  if (!exists && fs::is_symlink(fs::symlink_status(path, error))) {
    named_ = fmt::format("{} (a link to {})", path, path_);  // whose folder may be what is missing
  }
  temporary_ = fmt::format("{}.{}", path_, getpid());
  if (!make_nameless()) {
    fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    is_named_ = fd_ >= 0;
  }
  if (fd_ < 0) fail();
  if (!exists || fchmod(fd_, static_cast<mode_t>(status.permissions()) & 0777) == 0) return;
  const int why = errno;
  close(fd_);
  if (is_named_) unlink(temporary_.c_str());
  errno = why;
  fail();
}

namespace {

// How a file without a name gets one (open(2)).
std::string by_descriptor(int fd) {
  return fmt::format("/proc/self/fd/{}", fd);
}

}  // namespace

// False where that can't be done, or could not be given a name later.
bool FileReplacement::make_nameless() {
  const fs::path folder = fs::path(path_).parent_path();
  fd_ = open(folder.empty() ? "." : folder.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
  if (fd_ < 0) return false;
  if (access(by_descriptor(fd_).c_str(), F_OK) == 0) return true;
  close(std::exchange(fd_, -1));
  return false;
}

FileReplacement::~FileReplacement() {
  if (fd_ < 0) return;
  close(fd_);
  if (is_named_) unlink(temporary_.c_str());
}

void FileReplacement::fail() const {
  throw std::runtime_error(fmt::format("{}: {}", named_, std::strerror(errno)));
}

void FileReplacement::write(std::span<const std::byte> content) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd_, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail();
    size_ += static_cast<std::uint64_t>(n);
    content = content.subspan(static_cast<std::size_t>(n));
  }
}

void FileReplacement::commit() {
  // Delayed errors of the disk come now, while the name still stands for the old file.
  if (fsync(fd_) != 0 && errno != EINVAL) fail();
  if (!is_named_) {
    // A link can't take another file's place, a rename can.
    if (linkat(AT_FDCWD, by_descriptor(fd_).c_str(), AT_FDCWD, temporary_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      fail();
    }
    is_named_ = true;
  }
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail();
  close(std::exchange(fd_, -1));
}

}  // namespace llamajit
