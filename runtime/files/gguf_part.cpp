#include <algorithm>
#include <bit>
#include <limits>
#include <unordered_set>

#include <fmt/format.h>

#include "runtime/base/byte_reader.h"
#include "runtime/files/foreign_file.h"
#include "runtime/files/gguf.h"
#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

constexpr std::uint32_t kGgufMagic = 0x46554747;  // "GGUF" in the file
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr int kMaxNesting = 4;                 // arrays of arrays of …
constexpr std::uint64_t kMaxKeyBytes = 65535;  // the specification's
constexpr std::uint64_t kMaxNameBytes = 128;   // the specification says 64, some forks write more

// The least that an entry of each kind takes: counts that claim
// more than fits are refused before anything is reserved for them.
constexpr std::uint64_t kMinStringBytes = 8;
constexpr std::uint64_t kMinArrayBytes = 12;
constexpr std::uint64_t kMinEntryBytes = 8 + 4 + 1;
constexpr std::uint64_t kMinTensorBytes = 8 + 4 + 8 + 4 + 8;

// 0 for what is no number.
std::uint64_t size_of(GgufType type) {
  switch (type) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean:
      return 1;
    case GgufType::u16:
    case GgufType::i16:
      return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32:
      return 4;
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64:
      return 8;
    case GgufType::string:
    case GgufType::array:
      break;
  }
  return 0;
}

template <class T>
T at(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

GgufScalar number_at(GgufType type, const std::byte* bytes) {
  switch (type) {
    case GgufType::u8:
      return std::uint64_t{at<std::uint8_t>(bytes)};
    case GgufType::i8:
      return std::int64_t{at<std::int8_t>(bytes)};
    case GgufType::boolean:
      return at<std::uint8_t>(bytes) != 0;
    case GgufType::u16:
      return std::uint64_t{at<std::uint16_t>(bytes)};
    case GgufType::i16:
      return std::int64_t{at<std::int16_t>(bytes)};
    case GgufType::u32:
      return std::uint64_t{at<std::uint32_t>(bytes)};
    case GgufType::i32:
      return std::int64_t{at<std::int32_t>(bytes)};
    case GgufType::f32:
      return at<float>(bytes);
    case GgufType::u64:
      return at<std::uint64_t>(bytes);
    case GgufType::i64:
      return at<std::int64_t>(bytes);
    case GgufType::f64:
      return at<double>(bytes);
    case GgufType::string:
    case GgufType::array:
      break;
  }
  return {};
}

class PartReader {
 public:
  PartReader(std::string_view file, std::span<const std::byte> bytes) : reader_(file, bytes) {}

  GgufPart read() {
    read_version();
    const std::uint64_t n_tensors = reader_.u64("header.tensor_count");
    const std::uint64_t n_entries = reader_.u64("header.metadata_kv_count");
    check_count("header.metadata_kv_count", n_entries, kMinEntryBytes);
    for (std::uint64_t i = 0; i < n_entries; ++i) read_entry(i);
    check_count("header.tensor_count", n_tensors, kMinTensorBytes);
    std::vector<std::uint64_t> offsets;
    for (std::uint64_t i = 0; i < n_tensors; ++i) offsets.push_back(read_tensor_info(i));
    if (n_tensors > 0) place_tensors(offsets);
    return std::move(part_);
  }

 private:
  void read_version() {
    if (const std::uint32_t magic = reader_.u32("magic"); magic != kGgufMagic) {
      const auto foreign = describe_foreign_file(reader_.bytes(), WantedFile::model);
      reader_.fail("magic", fmt::format("{:#010x} (GGUF)", kGgufMagic),
                   foreign.value_or(fmt::format("{:#010x}", magic)));
    }
    part_.version = reader_.u32("version");
    if (part_.version == 2 || part_.version == 3) return;
    constexpr const char* kExpected = "2 or 3, little-endian";
    if ((part_.version & 0xFFFF) == 0) {
      reader_.fail("version", kExpected, fmt::format("{:#010x}: a big-endian file", part_.version));
    }
    reader_.fail("version", kExpected, fmt::to_string(part_.version));
  }

  // Whether that many things of at least `bytes` each can still come.
  void check_count(const FieldName& field, std::uint64_t count, std::uint64_t bytes) const {
    if (count <= reader_.remaining() / bytes) return;
    reader_.fail(field,
                 fmt::format("at most {} (there are {} bytes left, and each takes {} or more)",
                             reader_.remaining() / bytes, reader_.remaining(), bytes),
                 fmt::to_string(count));
  }

  std::string_view text(const FieldName& field) {
    const std::uint64_t length = reader_.u64(field);
    const auto bytes = reader_.take(length, field);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  std::string_view name(const FieldName& field, std::uint64_t longest) {
    const std::string_view text_read = text(field);
    if (text_read.empty() || text_read.size() > longest) {
      reader_.fail(field, fmt::format("1 to {} bytes", longest), fmt::to_string(text_read.size()));
    }
    // It will stand in messages.
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    if (std::ranges::any_of(text_read, is_control)) {
      reader_.fail(field, "no control characters", fmt::format("'{}'", escaped(text_read)));
    }
    return text_read;
  }

  GgufType type(const FieldName& field) {
    const std::uint32_t number = reader_.u32(field);
    if (number > static_cast<std::uint32_t>(GgufType::f64)) {
      reader_.fail(field, "a value type, 0 to 12", fmt::to_string(number));
    }
    return static_cast<GgufType>(number);
  }

  void read_entry(std::uint64_t index) {
    GgufEntry entry;
    entry.key = name({"metadata", index, "key"}, kMaxKeyBytes);
    if (!keys_.insert(entry.key).second) {
      reader_.fail({"metadata", index, "key"}, "keys that differ", fmt::format("'{}' again", entry.key));
    }
    const std::string field(entry.key);
    entry.type = type(field);
    if (entry.type == GgufType::array) {
      entry.value = read_array(field, 1);
    } else {
      entry.value = read_scalar(field, entry.type);
    }
    part_.metadata.push_back(std::move(entry));
  }

  GgufScalar read_scalar(const std::string& field, GgufType value_type) {
    if (value_type == GgufType::string) return text(field);
    const auto bytes = reader_.take(size_of(value_type), field);
    if (value_type == GgufType::boolean) check_booleans(field, bytes);
    return number_at(value_type, bytes.data());
  }

  GgufArray read_array(const std::string& field, int depth) {
    if (depth > kMaxNesting) {
      reader_.fail(field, fmt::format("arrays nested up to {} deep", kMaxNesting), "more");
    }
    GgufArray array;
    array.type = type(field);
    array.size = reader_.u64(field);
    if (array.type == GgufType::array) {
      check_count(field, array.size, kMinArrayBytes);
      for (std::uint64_t i = 0; i < array.size; ++i) array.arrays.push_back(read_array(field, depth + 1));
    } else if (array.type == GgufType::string) {
      check_count(field, array.size, kMinStringBytes);
      array.strings.reserve(array.size);
      for (std::uint64_t i = 0; i < array.size; ++i) array.strings.push_back(text({field, i, "text"}));
    } else {
      array.numbers = reader_.take(reader_.product({array.size, size_of(array.type)}, field), field);
      if (array.type == GgufType::boolean) check_booleans(field, array.numbers);
    }
    return array;
  }

  void check_booleans(const std::string& field, std::span<const std::byte> bytes) const {
    for (const std::byte value : bytes) {
      if (value > std::byte{1}) reader_.fail(field, "0 or 1", fmt::to_string(std::to_integer<int>(value)));
    }
  }

  // Its offset within the tensors' data.
  std::uint64_t read_tensor_info(std::uint64_t index) {
    GgufTensor tensor;
    tensor.name = name({"tensors", index, "name"}, kMaxNameBytes);
    if (!names_.insert(tensor.name).second) {
      reader_.fail({"tensors", index, "name"}, "names that differ", fmt::format("'{}' again", tensor.name));
    }
    const std::string field(tensor.name);
    const std::uint32_t n_dims = reader_.u32(field);
    if (n_dims < 1 || n_dims > tensor.dims.size()) {
      reader_.fail(field, "1 to 4 dimensions", fmt::to_string(n_dims));
    }
    tensor.n_dims = static_cast<int>(n_dims);
    for (std::uint32_t d = 0; d < n_dims; ++d) {
      const std::uint64_t dim = reader_.u64(field);
      if (dim == 0 || dim > std::numeric_limits<std::int64_t>::max()) {
        reader_.fail(field, "a dimension of at least 1", fmt::to_string(static_cast<std::int64_t>(dim)));
      }
      tensor.dims[d] = static_cast<std::int64_t>(dim);
    }
    const std::uint32_t number = reader_.u32(field);
    tensor.type = find_ggml_type(number);
    if (tensor.type == nullptr) reader_.fail(field, "a known tensor type", fmt::format("type {}", number));
    const std::uint64_t offset = reader_.u64(field);
    part_.tensors.push_back(tensor);
    return offset;
  }

  std::uint64_t alignment() const {
    const auto entry = std::ranges::find(part_.metadata, "general.alignment", &GgufEntry::key);
    if (entry == part_.metadata.end()) return kDefaultAlignment;
    const auto* scalar = std::get_if<GgufScalar>(&entry->value);
    const auto* value = scalar != nullptr ? std::get_if<std::uint64_t>(scalar) : nullptr;
    if (value == nullptr || entry->type != GgufType::u32 || !std::has_single_bit(*value)) {
      reader_.fail("general.alignment", "a power of two of type u32",
                   value != nullptr ? fmt::to_string(*value) : "another type");
    }
    return *value;
  }

  // Bytes of a tensor that consists of whole blocks.
  std::uint64_t bytes_of(const GgufTensor& tensor) const {
    const std::string field(tensor.name);
    const auto row = static_cast<std::uint64_t>(tensor.dims[0]);
    if (row % tensor.type->block_weights != 0) {
      reader_.fail(field,
                   fmt::format("rows of a multiple of {} weights, as {} has them", tensor.type->block_weights,
                               tensor.type->name),
                   fmt::to_string(row));
    }
    const auto extent = [&](std::size_t i) { return static_cast<std::uint64_t>(tensor.dims[i]); };
    const std::uint64_t blocks = reader_.product(
        {row / tensor.type->block_weights, tensor.type->block_bytes, extent(1), extent(2), extent(3)}, field);
    const std::uint64_t in_front =
        reader_.product({tensor.type->row_bytes, extent(1), extent(2), extent(3)}, field);
    // Too many already, or no overflow.
    if (std::max(blocks, in_front) > reader_.size()) return std::max(blocks, in_front);
    return blocks + in_front + tensor.type->tail_bytes;
  }

  // The tensors' data begins at the next multiple of the alignment.
  void place_tensors(std::span<const std::uint64_t> offsets) {
    const std::uint64_t align = alignment();
    const std::uint64_t padding = (align - reader_.position() % align) % align;
    reader_.take(padding, "padding before the tensors' data");
    const std::uint64_t begin = reader_.position();
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      GgufTensor& tensor = part_.tensors[i];
      const std::string field(tensor.name);
      if (offsets[i] % align != 0) {
        reader_.fail(field, fmt::format("an offset that is a multiple of {}", align),
                     fmt::to_string(offsets[i]));
      }
      reader_.seek(begin, field);
      reader_.take(offsets[i], field);
      tensor.offset = reader_.position();
      tensor.data = reader_.take(bytes_of(tensor), field);
    }
    check_disjoint();
  }

  void check_disjoint() const {
    std::vector<const GgufTensor*> by_offset;
    for (const GgufTensor& tensor : part_.tensors) by_offset.push_back(&tensor);
    std::ranges::sort(by_offset, {}, &GgufTensor::offset);
    for (std::size_t i = 1; i < by_offset.size(); ++i) {
      const GgufTensor& before = *by_offset[i - 1];
      if (before.offset + before.data.size() <= by_offset[i]->offset) continue;
      reader_.fail(std::string(by_offset[i]->name), "data of its own",
                   fmt::format("bytes of '{}' at offset {}", before.name, by_offset[i]->offset));
    }
  }

  ByteReader reader_;
  GgufPart part_;
  std::unordered_set<std::string_view> keys_;
  std::unordered_set<std::string_view> names_;
};

}  // namespace

GgufScalar GgufArray::operator[](std::uint64_t index) const {
  if (type == GgufType::string) return strings[index];
  return number_at(type, numbers.data() + index * size_of(type));
}

std::string_view to_string(GgufType type) {
  constexpr std::string_view kNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                         "bool", "string", "array", "u64", "i64", "f64"};
  return kNames[static_cast<std::uint32_t>(type)];
}

GgufPart read_gguf_part(std::string_view file, std::span<const std::byte> bytes) {
  return PartReader(file, bytes).read();
}

}  // namespace llamajit
