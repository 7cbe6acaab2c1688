// A file with given content that goes away with its owner.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include <unistd.h>

namespace llamajit::test {

class TempFile {
 public:
  explicit TempFile(std::string_view content) {
    std::string name = (std::filesystem::temp_directory_path() / "llamajit-XXXXXX").string();
    const int fd = ::mkstemp(name.data());
    if (fd < 0) throw std::runtime_error("cannot create " + name);
    ::close(fd);
    path_ = name;
    write(content);
  }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  ~TempFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

  const std::string& path() const { return path_; }
  // Replaces the content.
  void write(std::string_view content) {
    std::ofstream file(path_, std::ios::binary | std::ios::trunc);
    file.write(content.data(), static_cast<std::streamsize>(content.size()));
    if (!file.flush()) throw std::runtime_error("cannot write " + path_);
  }
  // In place: thousands of files are not made as quickly.
  void flip_bit(std::size_t bit) {
    std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
    const auto at = static_cast<std::streamoff>(bit / 8);
    const int byte = file.seekg(at).get();
    file.seekp(at).put(static_cast<char>(byte ^ 1 << bit % 8));
    if (!file.flush()) throw std::runtime_error("cannot write " + path_);
  }
  // Shrinks the file, or grows it with zeros.
  void resize(std::size_t size) { std::filesystem::resize_file(path_, size); }

 private:
  std::string path_;
};

}  // namespace llamajit::test
