// Writes GGUF files, version 3, tensor by tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/file_replacement.h"
#include "runtime/files/gguf.h"

namespace llamajit {

class GgufWriter {
 public:
  static constexpr std::uint32_t kAlignment = 32;

  explicit GgufWriter(const std::string& path) : file_(path) {}

  // Keys, in their order.
  void add(std::string_view key, std::string_view text);
  void add(std::string_view key, const char* text) { add(key, std::string_view(text)); }
  void add(std::string_view key, std::uint32_t value);
  void add(std::string_view key, float value);
  void add(std::string_view key, bool value);
  void add(std::string_view key, const std::vector<std::string>& texts);
  void add(std::string_view key, const std::vector<float>& values);
  void add(std::string_view key, const std::vector<std::int32_t>& values);
  void add(const GgufEntry& entry);  // as another file had it

  // Tensors, in the order in which their data comes; dims with the innermost first.
  void add_tensor(std::string_view name, std::span<const std::int64_t> dims, std::uint32_t type,
                  std::uint64_t bytes);

  // Then all tensors' data, in any pieces.
  void begin_data();
  void write_data(std::span<const std::byte> bytes);
  void finish();

  std::uint64_t size() const { return file_.size(); }

 private:
  struct TensorSize {
    std::uint64_t bytes;
    std::uint64_t written = 0;
  };
  void pad();
  void begin_entry(std::string_view key, GgufType type);

  FileReplacement file_;
  std::string entries_;
  std::uint64_t n_entries_ = 0;
  std::string tensors_;
  std::vector<TensorSize> sizes_;
  std::uint64_t data_bytes_ = 0;
  std::size_t current_ = 0;  // the tensor whose data comes next
};

}  // namespace llamajit
