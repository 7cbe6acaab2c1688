// GGUF files, versions 2 and 3 (the specification is ggml's docs/gguf.md): metadata and tensors as views into
// the mapped file, all of them checked.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/base/mapped_file.h"
#include "runtime/files/ggml_type.h"

namespace llamajit {

enum class GgufType : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};
std::string_view to_string(GgufType type);

// A value without its type's width. Texts are views into the file.
using GgufScalar = std::variant<std::uint64_t, std::int64_t, float, double, bool, std::string_view>;

struct GgufArray {
  GgufType type{};                          // of the elements
  std::uint64_t size = 0;                   // elements
  std::span<const std::byte> numbers{};     // one after the other, where they are numbers or truth values
  std::vector<std::string_view> strings{};  // where they are strings
  std::vector<GgufArray> arrays{};          // where they are arrays

  // An element that is no array.
  GgufScalar operator[](std::uint64_t index) const;
};

struct GgufEntry {
  std::string_view key;
  GgufType type{};
  std::variant<GgufScalar, GgufArray> value;
};

struct GgufTensor {
  std::string_view name;
  const GgmlType* type = nullptr;
  int n_dims = 0;                                // 1 to 4
  std::array<std::int64_t, 4> dims{1, 1, 1, 1};  // as in the file: the innermost, a row's length, first
  std::span<const std::byte> data;
  std::size_t part = 0;      // of a split file
  std::uint64_t offset = 0;  // from that part's beginning, in bytes
};

// One file's content. Views point into `bytes`.
struct GgufPart {
  std::uint32_t version = 0;
  std::vector<GgufEntry> metadata;  // in file order; no key twice
  std::vector<GgufTensor> tensors;  // in file order; no name twice, none shares bytes with another
};

// Reads the bytes of a file, whose name is for messages. Throws std::runtime_error that names the file, the
// field, what was expected and what was found.
GgufPart read_gguf_part(std::string_view file, std::span<const std::byte> bytes);

// Whether the file begins as GGUF files do. Throws std::runtime_error if it cannot be read.
bool is_gguf(const std::string& path);

// A GGUF file with all the parts that it may be split into.
class GgufFile {
 public:
  // For a split file, give the name of the first part ("…-00001-of-00003.gguf"); the others lie beside it.
  // Throws as read_gguf_part().
  explicit GgufFile(const std::string& path);

  const std::string& path() const { return path_; }
  std::uint32_t version() const { return version_; }
  std::span<const MappedFile> parts() const { return parts_; }
  std::span<const GgufEntry> metadata() const { return metadata_; }
  std::span<const GgufTensor> tensors() const { return tensors_; }

  // nullptr where there is none.
  const GgufEntry* find(std::string_view key) const;
  const GgufTensor* find_tensor(std::string_view name) const;

  // The value of a key; nothing where the file does not have it. Throws std::runtime_error that names file
  // and key if it is of another kind. Integers of every width are integers, and must lie within [low, high].
  std::optional<std::int64_t> integer(std::string_view key, std::int64_t low, std::int64_t high) const;
  std::optional<double> number(std::string_view key) const;  // finite
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string_view> string(std::string_view key) const;
  // A number for each of `count` layers: an array of so many, or one for all. Nothing without the key.
  std::vector<std::int64_t> integers(std::string_view key, std::int64_t low, std::int64_t high,
                                     std::size_t count) const;
  std::vector<bool> booleans(std::string_view key, std::size_t count) const;
  // An array of strings, of numbers of this type; nullptr where the file does not have it.
  const GgufArray* array(std::string_view key, GgufType element) const;

  // Puts other data, which must outlive whoever sees it, in the place of a tensor's that the file has.
  void replace(std::string_view tensor, const GgmlType& type, std::span<const std::byte> data);

  [[noreturn]] void fail(std::string_view field, std::string_view expected, std::string_view found) const;
  // Throws std::runtime_error if a part was truncated since it was mapped.
  void check_intact() const;
  // Hands over the mapped files, which the views of tensors and metadata point into.
  std::vector<MappedFile> release_parts() { return std::move(parts_); }

 private:
  std::vector<GgufEntry> add_part(const std::string& path);
  void add_other_parts();
  const GgufArray* array_of(std::string_view key, std::size_t count) const;

  std::string path_;
  std::uint32_t version_ = 0;
  std::vector<MappedFile> parts_;
  std::vector<GgufEntry> metadata_;  // the first part's
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string_view, std::size_t> entry_index_;
  std::unordered_map<std::string_view, std::size_t> tensor_index_;
};

}  // namespace llamajit
