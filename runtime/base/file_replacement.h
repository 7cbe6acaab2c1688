// A file that readers see as it was or as it will be, never half written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace llamajit {

// Where the file of this path is, or would be: links are followed, also one whose file is not there yet, as other
// programs that write files do. Throws std::runtime_error where the system does not follow it.
std::string written_file(const std::string& path);

// Throws std::runtime_error where the file at `out` is one of these, by whatever path or link: it would be lost.
void refuse_replacing(const std::string& out, std::span<const std::string> read);

// Written beside and renamed. Until then the new file has no name, where
// the file system has such files, so that nothing is left of it should the
// program be killed. All errors are std::runtime_error that names the file.
class FileReplacement {
 public:
  // Makes the new file, so that one that can't be written is known before the work on its content. What is
  // at `path` already must be a regular file, whose permissions are kept; a link is followed (written_file()).
  explicit FileReplacement(const std::string& path);
  FileReplacement(const FileReplacement&) = delete;
  FileReplacement& operator=(const FileReplacement&) = delete;
  ~FileReplacement();  // without commit(), nothing has happened

  void write(std::span<const std::byte> content);  // the next of it
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  void commit();                                // that was all
  std::uint64_t size() const { return size_; }  // written so far

 private:
  bool make_nameless();
  [[noreturn]] void fail() const;  // with errno's reason

  std::string named_;
  std::string path_;
  std::string temporary_;  // its name for a moment, or all the time
  bool is_named_ = false;
  std::uint64_t size_ = 0;
  int fd_ = -1;
};

}  // namespace llamajit
