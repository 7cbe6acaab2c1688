// A folder of this process's own, where listings are written for other programs to read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "jit/base/file_descriptor.h"

namespace llamajit::jit::inspect {

// A fresh folder "llamajit-PID-XXXXXX" that only this user may enter. Files in it are made, never overwritten
// or followed through links: nobody else can prepare what their names lead to.
class Folder {
 public:
  enum class Lifetime : std::uint8_t {
    process,  // goes away with its owner
    kept,
  };
  // Makes the folder in `parent`, which is made if need be. Throws std::system_error that names the path.
  Folder(const std::string& parent, Lifetime lifetime);
  // Makes one in $XDG_RUNTIME_DIR or, where that won't do, the directory for temporary files.
  static Folder temporary();
  Folder(Folder&& other) noexcept;
  Folder& operator=(Folder&& other) noexcept;
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder();

  const std::string& path() const { return path_; }
  // Throws std::system_error that names the file.
  void write(const std::string& name, std::string_view content) const;
  void write(const std::string& name, std::span<const std::uint8_t> content) const;

 private:
  std::string path_;
  Lifetime lifetime_;
};

// Makes a directory, and those above it, unless they are there; the path without links. Throws
// std::system_error that names `path`.
std::string make_directory(const std::string& path);
// Makes a file that did not exist, for this user alone, to be read and written. Throws std::system_error.
FileDescriptor create_file(const std::string& path);
// Throws std::system_error that names `path`.
void write_all(const FileDescriptor& file, std::span<const std::uint8_t> content, const std::string& path);

}  // namespace llamajit::jit::inspect
