// Weights as kernels read them, in a file of their own: a later start maps it instead of packing, and all processes
// share its pages.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "runtime/base/mapped_file.h"
#include "runtime/model/model_file.h"

namespace llamajit {

enum class Bf16Products : std::uint8_t;

// What a packed file must have been made of to be a model's: its size, its first bytes, some from everywhere, how its
// floats are multiplied, and the version of the layout. In hexadecimal. To read all of a model would take longer than
// to pack it; packed_key() of a file that was changed in a few places of its weights alone is what it was.
std::string packed_key(const ModelFile& file, Bf16Products bf16);

// A header of kPackedHeader bytes, then the weights' memory as it lies:
//   bytes 0 to 15   "llamajit packed\n"
//   16 to 79        packed_key()
//   80 to 87        the weights' bytes, little-endian
//   the rest        zeros
// Nothing in the weights is an offset or a count, so whatever they are, kernels stay within their memory.
inline constexpr std::size_t kPackedHeader = 4096;

class PackedFile {
 public:
  // Throws std::runtime_error that names the file, the field, what was expected and what was found.
  PackedFile(const std::string& path, const std::string& key);
  void expect_bytes(std::size_t weight_bytes) const;

  std::span<const std::byte> weights() const { return file_.bytes().subspan(kPackedHeader); }
  // Throws std::runtime_error if the file was cut short since.
  void check_intact() const { file_.check_intact(); }

 private:
  MappedFile file_;
};

// Hands out the file's bytes, piece by piece.
void write_packed(const std::string& key, std::span<const std::byte> weights,
                  const std::function<void(std::span<const std::byte>)>& write);

}  // namespace llamajit
