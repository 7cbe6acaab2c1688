#include "tools/file_replacement.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace llamajit::cli {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const std::string& path, const char* why) {
  throw std::runtime_error(fmt::format("{}: {}", path, why));
}

}  // namespace

FileReplacement::FileReplacement(const std::string& path) : named_(path), path_(path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    fail(named_, "expected a regular file or none, found something else");
  }
  if (fs::exists(status)) path_ = fs::canonical(path, error).string();
  if (error && fs::exists(status)) fail(named_, error.message().c_str());
  temporary_ = fmt::format("{}.{}", path_, getpid());
  fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (fd_ < 0) fail(named_, std::strerror(errno));
}

FileReplacement::~FileReplacement() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

void FileReplacement::write(std::string_view content) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd_, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(named_, std::strerror(errno));
    content.remove_prefix(static_cast<std::size_t>(n));
  }
}

void FileReplacement::commit(std::string_view content) {
  write(content);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail(named_, std::strerror(errno));
  close(fd_);
  fd_ = -1;
}

}  // namespace llamajit::cli
