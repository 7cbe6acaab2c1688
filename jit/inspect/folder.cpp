#include "jit/inspect/folder.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace llamajit::jit::inspect {
namespace {

[[noreturn]] void fail(const std::string& path) {
  throw std::system_error(errno, std::generic_category(), path);
}

}  // namespace

Folder::Folder(const std::string& parent, Lifetime lifetime) : lifetime_(lifetime) {
  path_ = fmt::format("{}/llamajit-{}-XXXXXX", make_directory(parent), getpid());
  if (mkdtemp(path_.data()) == nullptr) fail(path_);  // for its owner alone, by definition
}

Folder Folder::temporary() {
  if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime != nullptr && *runtime == '/') {
    if (access(runtime, W_OK | X_OK) == 0) return {runtime, Lifetime::process};
  }
  return {std::filesystem::temp_directory_path().string(), Lifetime::process};
}

Folder::Folder(Folder&& other) noexcept : path_(std::exchange(other.path_, {})), lifetime_(other.lifetime_) {}

Folder::~Folder() {
  if (path_.empty() || lifetime_ == Lifetime::kept) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Folder& Folder::operator=(Folder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lifetime_, other.lifetime_);
  return *this;
}

void Folder::write(const std::string& name, std::string_view content) const {
  write(name, std::span(reinterpret_cast<const std::uint8_t*>(content.data()), content.size()));
}

void Folder::write(const std::string& name, std::span<const std::uint8_t> content) const {
  const std::string path = path_ + "/" + name;
  write_all(create_file(path), content, path);
}

std::string make_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw std::system_error(error, path);
  return std::filesystem::canonical(path).string();
}

FileDescriptor create_file(const std::string& path) {
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.get() < 0) fail(path);
  return file;
}

void write_all(const FileDescriptor& file, std::span<const std::uint8_t> content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t n = ::write(file.get(), content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path);
    content = content.subspan(static_cast<std::size_t>(n));
  }
}

}  // namespace llamajit::jit::inspect
