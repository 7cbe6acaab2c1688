#include "runtime/file_replacement.h"

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

FileReplacement::FileReplacement(const std::string& path) : named_(path), path_(path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  const bool exists = fs::exists(status);
  if (!fs::path(path).has_filename() || (exists && !fs::is_regular_file(status))) {
    throw std::runtime_error(
        fmt::format("{}: expected a regular file or none, found something else", named_));
  }
  if (exists) path_ = fs::canonical(path).string();
  temporary_ = fmt::format("{}.{}", path_, getpid());
  fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (fd_ < 0) fail();
  if (!exists || fchmod(fd_, static_cast<mode_t>(status.permissions()) & 0777) == 0) return;
  const int why = errno;
  close(fd_);
  unlink(temporary_.c_str());
  errno = why;
  fail();
}

FileReplacement::~FileReplacement() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
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
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail();
  close(std::exchange(fd_, -1));
}

}  // namespace llamajit
