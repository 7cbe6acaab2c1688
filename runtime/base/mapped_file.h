// A read-only memory-mapped file that survives being truncated by someone else while it is mapped.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace llamajit {

// Movable owner of a mapping. Reading a page that a truncation took away would
// raise SIGBUS; a handler installed with the first mapping puts zeros from there to
// the mapping's end instead and remembers it, so that reading code stays simple:
// whoever has read from bytes() calls check_intact() before trusting the result.
class MappedFile {
 public:
  MappedFile() = default;
  // Maps the whole of a regular file. Throws std::runtime_error naming the path and the reason (missing, a
  // directory, no permission, empty).
  explicit MappedFile(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

  // Throws std::runtime_error that names the file if it shrank
  // since it was mapped, or if a fault was caught in it.
  void check_intact() const;

  // Makes this process's share of the memory free, of the pages that lie in `bytes` as a whole. What is read
  // again afterwards comes from the file again. Bytes outside of the file are passed over.
  void drop_pages(std::span<const std::byte> bytes) const noexcept;
  void drop_pages() const noexcept;

 private:
  void release() noexcept;

  std::string path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  int fd_ = -1;    // kept to notice a change of size
  int slot_ = -1;  // the mapping's entry in the fault handler's table
};

}  // namespace llamajit
