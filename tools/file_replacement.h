// A file that readers see as it was or as it will be, never half written.
#pragma once

#include <string>
#include <string_view>

namespace llamajit::cli {

// Written beside and renamed. All errors are std::runtime_error that names the file.
class FileReplacement {
 public:
  // Makes the new file, so that one that can't be written is known before the work on its content. What is
  // at `path` already must be a regular file; a link is followed.
  explicit FileReplacement(const std::string& path);
  FileReplacement(const FileReplacement&) = delete;
  FileReplacement& operator=(const FileReplacement&) = delete;
  ~FileReplacement();  // without commit(), nothing has happened

  void write(std::string_view content);   // the next of it
  void commit(std::string_view content);  // the rest of it

 private:
  std::string named_;
  std::string path_;
  std::string temporary_;
  int fd_ = -1;
};

}  // namespace llamajit::cli
