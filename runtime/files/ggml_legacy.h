// Files of ggml's first format, whose magic is 'ggml' without a version: what alpaca.cpp and its copies of
// March 2023 read. Header, vocabulary and tensors as views into the mapped files, all of them checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "jit/formats/format.h"
#include "runtime/base/byte_reader.h"
#include "runtime/base/mapped_file.h"

namespace llamajit {

// In the order of the file.
struct GgmlLegacyHeader {
  int n_vocab = 0;
  int n_embd = 0;
  int n_mult = 0;  // the feed-forward's size is a multiple of it
  int n_head = 0;
  int n_layer = 0;
  int n_rot = 0;  // n_embd / n_head
  int ftype = 0;  // of matrices

  std::int64_t hidden_dim() const;
};

struct GgmlLegacyTensor {
  std::string_view name;
  // A row of q4_1_f32 is not made of blocks in the file: all its
  // minima come first, then all its scales, then all its codes.
  jit::Format format;
  int n_dims = 0;  // 1 or 2
  std::int64_t rows = 1;
  std::int64_t cols = 0;
  std::span<const std::byte> data;
  std::size_t part = 0;
  std::uint64_t offset = 0;  // of the data, from the part's beginning
};

// Whether the file begins as such files do. Throws std::runtime_error if it cannot be read.
bool is_ggml_legacy(const std::string& path);

// The format with this number in headers; nullptr for a number that is none.
const jit::Format* ggml_legacy_format(int ftype);

// A file with all the parts that it may be split into: `path`, `path`.1, `path`.2, …
class GgmlLegacyFile {
 public:
  // How many parts there are follows from the first one's tensors. Throws std::runtime_error that names the
  // file, the field, what was expected and what was found.
  explicit GgmlLegacyFile(const std::string& path);

  const std::string& path() const { return parts_.front().path(); }
  std::span<const MappedFile> parts() const { return parts_; }
  const GgmlLegacyHeader& header() const { return header_; }
  std::span<const std::string_view> pieces() const { return pieces_; }          // of the vocabulary, by id
  std::span<const GgmlLegacyTensor> tensors() const { return tensors_; }        // in file order, part by part
  const GgmlLegacyTensor* find(std::string_view name, std::size_t part) const;  // nullptr: none

  // Names the part's file.
  [[noreturn]] void fail(std::size_t part, std::string_view field, std::string_view expected,
                         std::string_view found) const;
  // Throws std::runtime_error if a part was truncated since it was mapped.
  void check_intact() const;
  // Hands over the mapped files, which the views point into.
  std::vector<MappedFile> release_parts() { return std::move(parts_); }

 private:
  void read_header(ByteReader& reader);
  void read_pieces(ByteReader& reader);
  void read_tensors(ByteReader& reader);
  GgmlLegacyTensor read_tensor(ByteReader& reader) const;
  void add_other_parts(std::uint64_t prefix_bytes);

  std::vector<MappedFile> parts_;
  GgmlLegacyHeader header_;
  std::vector<std::string_view> pieces_;
  std::vector<GgmlLegacyTensor> tensors_;
  std::vector<std::unordered_map<std::string_view, std::size_t>> index_;  // of each part
};

}  // namespace llamajit
