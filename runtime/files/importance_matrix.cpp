#include "runtime/files/importance_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/byte_reader.h"
#include "runtime/base/excerpt.h"
#include "runtime/base/file_replacement.h"
#include "runtime/base/mapped_file.h"
#include "runtime/base/numbers.h"
#include "runtime/files/ggml_type.h"
#include "runtime/files/gguf.h"
#include "runtime/files/gguf_writer.h"
#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

using Entry = ImportanceMatrix::Entry;

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";
constexpr std::int64_t kMostChunks = 1 << 24, kMostChunkSize = 1 << 24;
constexpr std::int64_t kMostNumbers = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMostCount = std::int64_t{1} << 48;

[[noreturn]] void fail(std::string_view file, std::string_view field, std::string_view expected,
                       std::string_view found) {
  throw std::runtime_error(
      fmt::format("{}: {}: expected {}, found {}", file, excerpt(field), expected, excerpt(found)));
}

// `field` is what messages call the numbers.
std::vector<float> no_negatives(std::string_view file, std::string_view field,
                                std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i]) && values[i] >= 0) continue;
    fail(file, field, "finite numbers that are not negative",
         fmt::format("{} at {}", without_sign_of_nan(values[i]), i));
  }
  return values;
}

// The number of entries; of each a name, the chunks that it was computed over, and its numbers, which are means times
// these chunks; then the chunks of all, and a dataset's name.
class DatReader {
 public:
  explicit DatReader(const MappedFile& file) : file_(file.path()), reader_(file.path(), file.bytes()) {}

  ImportanceMatrix read() {
    constexpr std::int64_t kLeastBytes = 4 + 1 + 4 + 4 + 4;
    const std::int64_t n =
        count("n_entries", 1, static_cast<std::int64_t>(reader_.size()) / kLeastBytes, "entries");
    for (std::int64_t i = 0; i < n; ++i) read_entry(static_cast<std::uint64_t>(i));
    // Files of 2023 end here.
    if (reader_.remaining() == 0) return std::move(matrix_);
    matrix_.chunks = count("chunks", 0, kMostChunks, "chunks");
    if (reader_.remaining() == 0) return std::move(matrix_);
    if (std::string dataset = text("dataset", 0); !dataset.empty()) matrix_.datasets.push_back(dataset);
    if (reader_.remaining() > 0) {
      reader_.fail("dataset", "the end of the file behind it",
                   fmt::format("{} bytes more", reader_.remaining()));
    }
    return std::move(matrix_);
  }

 private:
  std::int64_t count(const FieldName& field, std::int64_t least, std::int64_t most, std::string_view what) {
    const std::int64_t n = reader_.i32(field);
    if (n >= least && n <= most) return n;
    reader_.fail(field, fmt::format("{} to {} {}", least, most, what), fmt::to_string(n));
  }

  std::string text(const FieldName& field, std::int64_t least) {
    constexpr std::int64_t kMost = 4096;
    const auto length = static_cast<std::uint64_t>(count(field, least, kMost, "bytes"));
    const std::string_view bytes = as_text(reader_.take(length, field));
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    if (std::ranges::any_of(bytes, is_control)) {
      reader_.fail(field, "no control characters", fmt::format("'{}'", escaped(bytes)));
    }
    return std::string(bytes);
  }

  void read_entry(std::uint64_t index) {
    const std::string name = text({"entries", index, "name"}, 1);
    const std::int64_t chunks = count({"entries", index, "ncall"}, 0, kMostChunks, "chunks");
    const std::int64_t n = count({"entries", index, "nval"}, 1, kMostNumbers, "numbers");
    const auto bytes =
        reader_.take(static_cast<std::uint64_t>(n) * sizeof(float), {"entries", index, "values"});
    // Of no chunk, numbers would be means.
    Entry entry{no_negatives(file_, name, bytes), {std::max<std::int64_t>(chunks, 1)}};
    if (!matrix_.entries.emplace(name, std::move(entry)).second) {
      reader_.fail({"entries", index, "name"}, "a name that no entry before has", fmt::format("'{}'", name));
    }
  }

  std::string_view file_;
  ByteReader reader_;
  ImportanceMatrix matrix_;
};

// The numbers of a tensor.
std::span<const std::byte> floats_of(const GgufFile& file, const std::string& name) {
  const GgufTensor* const tensor = file.find_tensor(name);
  if (tensor == nullptr) file.fail(name, "a tensor of this name", "none");
  if (tensor->type->name != "F32") file.fail(name, "F32", tensor->type->name);
  return tensor->data;
}

std::vector<std::int64_t> counts_of(const GgufFile& file, const std::string& name) {
  std::vector<std::int64_t> counts;
  for (const float count : no_negatives(file.path(), name, floats_of(file, name))) {
    if (static_cast<double>(count) > static_cast<double>(kMostCount)) {
      file.fail(name, fmt::format("at most {} inputs", kMostCount), fmt::to_string(count));
    }
    counts.push_back(std::llround(count));
  }
  return counts;
}

ImportanceMatrix read_gguf(const std::string& path) {
  const GgufFile file(path);
  if (const auto type = file.string("general.type"); type != "imatrix") {
    file.fail("general.type", "imatrix", type ? fmt::format("'{}'", escaped(*type)) : "none");
  }
  ImportanceMatrix matrix;
  if (const GgufArray* const texts = file.array("imatrix.datasets", GgufType::string)) {
    matrix.datasets.assign(texts->strings.begin(), texts->strings.end());
  }
  matrix.chunks = file.integer("imatrix.chunk_count", 0, kMostChunks).value_or(0);
  const auto size = file.integer("imatrix.chunk_size", 1, kMostChunkSize);
  if (!size) file.fail("imatrix.chunk_size", fmt::format("an integer from 1 to {}", kMostChunkSize), "none");
  matrix.chunk_size = *size;
  for (const GgufTensor& tensor : file.tensors()) {
    if (!tensor.name.ends_with(kSums)) continue;  // sums of inputs that are not squared are of no use here
    const std::string name(tensor.name.substr(0, tensor.name.size() - kSums.size()));
    const std::string sums_name(tensor.name);
    Entry entry{no_negatives(path, sums_name, floats_of(file, sums_name)),
                counts_of(file, name + std::string(kCounts))};
    if (entry.counts.empty() || entry.sums.empty() || entry.sums.size() % entry.counts.size() != 0) {
      file.fail(sums_name, fmt::format("a number of sums that {} counts divide", entry.counts.size()),
                fmt::to_string(entry.sums.size()));
    }
    matrix.entries.emplace(name, std::move(entry));
  }
  if (matrix.entries.empty()) {
    file.fail("tensors", fmt::format("some whose names end with {}", kSums), "none");
  }
  file.check_intact();
  return matrix;
}

void scale(Entry& entry, std::int64_t by) {
  for (float& sum : entry.sums) sum *= static_cast<float>(by);
  for (std::int64_t& count : entry.counts) count *= by;
}

// A count for each of so many matrices.
void spread(Entry& entry, std::size_t matrices) {
  if (entry.counts.size() == 1) entry.counts.resize(matrices, entry.counts.front());
}

void write_gguf(const ImportanceMatrix& matrix, const std::string& path) {
  GgufWriter writer(path);
  writer.add("general.type", "imatrix");
  writer.add("imatrix.datasets", matrix.datasets);
  writer.add("imatrix.chunk_count", static_cast<std::uint32_t>(matrix.chunks));
  writer.add("imatrix.chunk_size", static_cast<std::uint32_t>(matrix.chunk_size));
  const std::uint32_t f32 = find_ggml_type("F32")->number;
  for (const auto& [name, entry] : matrix.entries) {
    const auto matrices = std::ssize(entry.counts);
    writer.add_tensor(name + std::string(kSums),
                      std::vector<std::int64_t>{std::ssize(entry.sums) / matrices, matrices}, f32,
                      entry.sums.size() * sizeof(float));
    writer.add_tensor(name + std::string(kCounts), std::vector<std::int64_t>{1, matrices}, f32,
                      entry.counts.size() * sizeof(float));
  }
  writer.begin_data();
  for (const auto& [name, entry] : matrix.entries) {
    writer.write_data(std::as_bytes(std::span(entry.sums)));
    const std::vector<float> counts(entry.counts.begin(), entry.counts.end());
    writer.write_data(std::as_bytes(std::span(counts)));
  }
  writer.finish();
}

void write_dat(const ImportanceMatrix& matrix, const std::string& path) {
  FileReplacement file(path);
  const auto number = [&](std::int64_t value) {
    const auto bytes = static_cast<std::int32_t>(value);
    file.write(std::as_bytes(std::span(&bytes, 1)));
  };
  const auto text = [&](std::string_view bytes) {
    number(std::ssize(bytes));
    file.write(bytes);
  };
  number(std::ssize(matrix.entries));
  for (const auto& [name, entry] : matrix.entries) {
    const std::int64_t most = std::ranges::max(entry.counts), size = matrix.chunk_size;
    const std::int64_t chunks = std::max<std::int64_t>((most + size - 1) / size, 1);
    const std::size_t cols = entry.sums.size() / entry.counts.size();
    std::vector<float> values;
    values.reserve(entry.sums.size());
    for (std::size_t i = 0; i < entry.sums.size(); ++i) {
      const auto count = static_cast<double>(entry.counts[i / cols]);
      const double mean = count > 0 ? entry.sums[i] / count : 1;
      values.push_back(static_cast<float>(mean * static_cast<double>(chunks)));
    }
    text(name);
    number(chunks);
    number(std::ssize(values));
    file.write(std::as_bytes(std::span(values)));
  }
  number(matrix.chunks);
  text(matrix.datasets.empty() ? "" : matrix.datasets.back());
  file.commit();
}

}  // namespace

void ImportanceMatrix::add(const ImportanceMatrix& other, std::string_view file) {
  for (const auto& [name, added] : other.entries) {
    Entry from = added;
    if (other.chunk_size == 0 && chunk_size > 0) scale(from, chunk_size);
    const auto [at, is_new] = entries.try_emplace(name, from);
    if (is_new) continue;
    Entry& to = at->second;
    if (from.sums.size() != to.sums.size()) {
      fail(file, name, fmt::format("{} sums", to.sums.size()), fmt::to_string(from.sums.size()));
    }
    const std::size_t matrices = std::max(from.counts.size(), to.counts.size());
    spread(from, matrices);
    spread(to, matrices);
    if (from.counts.size() != to.counts.size()) {
      fail(file, name, counted(to.counts.size(), "count"), fmt::to_string(from.counts.size()));
    }
    for (std::size_t i = 0; i < to.sums.size(); ++i) {
      to.sums[i] += from.sums[i];
      if (!std::isfinite(to.sums[i])) fail(file, name, "sums in F32's range", fmt::format("more at {}", i));
    }
    for (std::size_t i = 0; i < matrices; ++i) to.counts[i] += from.counts[i];
  }
  datasets.insert(datasets.end(), other.datasets.begin(), other.datasets.end());
  chunks += other.chunks;
}

std::vector<float> importance_of(const Entry& entry, std::string_view file, std::string_view tensor,
                                 std::int64_t matrices, std::int64_t cols) {
  if (std::ssize(entry.sums) != matrices * cols) {
    fail(file, tensor,
         matrices == 1 ? fmt::format("{} sums, one for each column of the model's tensor", cols)
                       : fmt::format("{} sums, one for each column of the {} matrices of the model's tensor",
                                     matrices * cols, matrices),
         fmt::to_string(entry.sums.size()));
  }
  const std::int64_t counts = std::ssize(entry.counts);
  if (counts != 1 && counts != matrices) {
    fail(file, tensor, fmt::format("a count, or one for each of the tensor's {} matrices", matrices),
         fmt::to_string(counts));
  }
  std::vector<float> sums = entry.sums;
  const std::int64_t each = std::ssize(sums) / counts;
  for (std::int64_t i = 0; i < counts; ++i) {
    if (entry.counts[static_cast<std::size_t>(i)] == 0) std::fill_n(sums.begin() + i * each, each, 0.0F);
  }
  return sums;
}

ImportanceMatrix read_importance_matrix(const std::string& path) {
  if (is_gguf(path)) return read_gguf(path);
  const MappedFile file(path);
  ImportanceMatrix matrix = DatReader(file).read();
  file.check_intact();
  return matrix;
}

void write_importance_matrix(const ImportanceMatrix& matrix, const std::string& path, ImportanceForm form) {
  form == ImportanceForm::gguf ? write_gguf(matrix, path) : write_dat(matrix, path);
}

}  // namespace llamajit
