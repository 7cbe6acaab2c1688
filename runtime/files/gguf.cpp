#include "runtime/files/gguf.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/excerpt.h"

namespace llamajit {
namespace {

std::string kind_of(const GgufEntry& entry) {
  if (const auto* array = std::get_if<GgufArray>(&entry.value)) {
    return fmt::format("an array of {}", to_string(array->type));
  }
  return std::string(to_string(entry.type));
}

// nullptr if the value is of another kind.
template <class T>
const T* scalar_of(const GgufEntry& entry) {
  const auto* scalar = std::get_if<GgufScalar>(&entry.value);
  return scalar != nullptr ? std::get_if<T>(scalar) : nullptr;
}

// Nothing for what is no integer, or none that fits.
std::optional<std::int64_t> integer_of(const GgufScalar& scalar) {
  if (const auto* value = std::get_if<std::int64_t>(&scalar)) return *value;
  const auto* value = std::get_if<std::uint64_t>(&scalar);
  if (value == nullptr || *value > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
  return static_cast<std::int64_t>(*value);
}
std::optional<std::int64_t> integer_of(const GgufEntry& entry) {
  const auto* scalar = std::get_if<GgufScalar>(&entry.value);
  return scalar != nullptr ? integer_of(*scalar) : std::nullopt;
}

// A scalar for a message.
std::string shown(const GgufEntry& entry) {
  if (const auto* value = scalar_of<std::uint64_t>(entry)) return fmt::to_string(*value);
  if (const auto* value = scalar_of<std::int64_t>(entry)) return fmt::to_string(*value);
  if (const auto* value = scalar_of<float>(entry)) return fmt::to_string(*value);
  if (const auto* value = scalar_of<double>(entry)) return fmt::to_string(*value);
  return kind_of(entry);
}

// How the name of a split file's part ends; parts count from 1.
std::string part_suffix(std::int64_t part, std::int64_t count) {
  return fmt::format("-{:05}-of-{:05}.gguf", part, count);
}

}  // namespace

bool is_gguf(const std::string& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  return bytes.size() >= 4 && std::memcmp(bytes.data(), "GGUF", 4) == 0;
}

GgufFile::GgufFile(const std::string& path) : path_(path) {
  metadata_ = add_part(path);
  for (std::size_t i = 0; i < metadata_.size(); ++i) entry_index_.emplace(metadata_[i].key, i);
  add_other_parts();
  check_intact();  // metadata was read before, perhaps from pages that are gone
}

// The part's metadata.
std::vector<GgufEntry> GgufFile::add_part(const std::string& path) {
  MappedFile file(path);
  GgufPart part = read_gguf_part(path, file.bytes());
  version_ = part.version;
  for (GgufTensor& tensor : part.tensors) {
    tensor.part = parts_.size();
    if (!tensor_index_.emplace(tensor.name, tensors_.size()).second) {
      throw std::runtime_error(
          fmt::format("{}: {}: expected no tensor of a part before, found one", path, excerpt(tensor.name)));
    }
    tensors_.push_back(tensor);
  }
  parts_.push_back(std::move(file));
  return std::move(part.metadata);
}

void GgufFile::add_other_parts() {
  constexpr std::int64_t kMaxParts = 65535;
  const std::int64_t count = integer("split.count", 0, kMaxParts).value_or(0);
  if (count < 2) return;
  const std::string suffix = part_suffix(1, count);
  if (integer("split.no", 0, kMaxParts).value_or(0) != 0 || !path_.ends_with(suffix)) {
    fail("split.no", fmt::format("the first of {} parts, whose name ends in '{}'", count, suffix),
         fmt::format("part {}", integer("split.no", 0, kMaxParts).value_or(0) + 1));
  }
  const std::string prefix = path_.substr(0, path_.size() - suffix.size());
  for (std::int64_t i = 1; i < count; ++i) {
    const std::string path = prefix + part_suffix(i + 1, count);
    const std::vector<GgufEntry> metadata = add_part(path);
    const auto number = std::ranges::find(metadata, "split.no", &GgufEntry::key);
    const auto found = number != metadata.end() ? integer_of(*number) : std::nullopt;
    if (found == i) continue;
    throw std::runtime_error(
        fmt::format("{}: split.no: expected {}, found {}", path, i, found ? fmt::to_string(*found) : "none"));
  }
  const auto tensors = static_cast<std::int64_t>(tensors_.size());
  const auto expected = integer("split.tensors.count", 0, std::numeric_limits<std::int32_t>::max());
  if (expected && *expected != tensors) {
    fail("split.tensors.count", fmt::format("{}, as many as the parts have", tensors),
         fmt::to_string(*expected));
  }
}

const GgufEntry* GgufFile::find(std::string_view key) const {
  const auto found = entry_index_.find(key);
  return found == entry_index_.end() ? nullptr : &metadata_[found->second];
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

void GgufFile::replace(std::string_view tensor, const GgmlType& type, std::span<const std::byte> data) {
  GgufTensor& found = tensors_[tensor_index_.at(tensor)];
  found.type = &type;
  found.data = data;
}

std::optional<std::int64_t> GgufFile::integer(std::string_view key, std::int64_t low,
                                              std::int64_t high) const {
  const GgufEntry* const entry = find(key);
  if (entry == nullptr) return std::nullopt;
  const auto value = integer_of(*entry);
  if (!value || *value < low || *value > high) {
    fail(key, fmt::format("an integer from {} to {}", low, high), shown(*entry));
  }
  return value;
}

std::optional<double> GgufFile::number(std::string_view key) const {
  const GgufEntry* const entry = find(key);
  if (entry == nullptr) return std::nullopt;
  std::optional<double> value;
  if (const auto* f32 = scalar_of<float>(*entry)) value = *f32;
  if (const auto* f64 = scalar_of<double>(*entry)) value = *f64;
  if (const auto integer = integer_of(*entry)) value = static_cast<double>(*integer);
  if (!value || !std::isfinite(*value)) fail(key, "a finite number", shown(*entry));
  return value;
}

std::optional<bool> GgufFile::boolean(std::string_view key) const {
  const GgufEntry* const entry = find(key);
  if (entry == nullptr) return std::nullopt;
  const auto* value = scalar_of<bool>(*entry);
  if (value == nullptr) fail(key, "true or false", kind_of(*entry));
  return *value;
}

std::optional<std::string_view> GgufFile::string(std::string_view key) const {
  const GgufEntry* const entry = find(key);
  if (entry == nullptr) return std::nullopt;
  const auto* value = scalar_of<std::string_view>(*entry);
  if (value == nullptr) fail(key, "a string", kind_of(*entry));
  return *value;
}

// nullptr where the key has no array.
const GgufArray* GgufFile::array_of(std::string_view key, std::size_t count) const {
  const GgufEntry* const entry = find(key);
  const auto* array = entry != nullptr ? std::get_if<GgufArray>(&entry->value) : nullptr;
  if (array == nullptr) return nullptr;
  if (array->type == GgufType::array) fail(key, "an array of numbers", kind_of(*entry));
  if (array->size != count) {
    fail(key, fmt::format("{} elements, one for each layer", count), fmt::to_string(array->size));
  }
  return array;
}

std::vector<std::int64_t> GgufFile::integers(std::string_view key, std::int64_t low, std::int64_t high,
                                             std::size_t count) const {
  const GgufArray* const array = array_of(key, count);
  if (array == nullptr) {
    const auto value = integer(key, low, high);
    return value ? std::vector(count, *value) : std::vector<std::int64_t>();
  }
  std::vector<std::int64_t> values;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto value = integer_of((*array)[i]);
    if (value && low <= *value && *value <= high) {
      values.push_back(*value);
      continue;
    }
    fail(fmt::format("{}[{}]", key, i), fmt::format("an integer from {} to {}", low, high),
         value ? fmt::to_string(*value) : fmt::format("a value of type {}", to_string(array->type)));
  }
  return values;
}

std::vector<bool> GgufFile::booleans(std::string_view key, std::size_t count) const {
  const GgufArray* const array = array_of(key, count);
  if (array == nullptr) {
    const auto value = boolean(key);
    return value ? std::vector(count, *value) : std::vector<bool>();
  }
  if (array->type != GgufType::boolean) fail(key, "an array of bool", kind_of(*find(key)));
  std::vector<bool> values;
  for (std::uint64_t i = 0; i < count; ++i) values.push_back(std::get<bool>((*array)[i]));
  return values;
}

const GgufArray* GgufFile::array(std::string_view key, GgufType element) const {
  const GgufEntry* const entry = find(key);
  if (entry == nullptr) return nullptr;
  const auto* value = std::get_if<GgufArray>(&entry->value);
  if (value == nullptr || value->type != element) {
    fail(key, fmt::format("an array of {}", to_string(element)), kind_of(*entry));
  }
  return value;
}

void GgufFile::fail(std::string_view field, std::string_view expected, std::string_view found) const {
  throw std::runtime_error(
      fmt::format("{}: {}: expected {}, found {}", path_, excerpt(field), expected, excerpt(found)));
}

void GgufFile::check_intact() const {
  for (const MappedFile& part : parts_) part.check_intact();
}

}  // namespace llamajit
