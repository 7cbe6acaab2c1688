#include "runtime/files/gguf_writer.h"

#include <cassert>
#include <variant>

namespace llamajit {
namespace {

template <class T>
void append(std::string& to, const T& value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void append_text(std::string& to, std::string_view text) {
  append(to, std::uint64_t{text.size()});
  to.append(text);
}

template <class Stored, class T>
void append_as(std::string& to, T value) {
  append(to, static_cast<Stored>(value));
}

// A number in the width that its type has in files.
struct ScalarAppender {
  std::string& to;
  GgufType type;

  void operator()(std::uint64_t value) const {
    switch (type) {
      case GgufType::u8:
        return append_as<std::uint8_t>(to, value);
      case GgufType::u16:
        return append_as<std::uint16_t>(to, value);
      case GgufType::u32:
        return append_as<std::uint32_t>(to, value);
      default:
        return append(to, value);
    }
  }
  void operator()(std::int64_t value) const {
    switch (type) {
      case GgufType::i8:
        return append_as<std::int8_t>(to, value);
      case GgufType::i16:
        return append_as<std::int16_t>(to, value);
      case GgufType::i32:
        return append_as<std::int32_t>(to, value);
      default:
        return append(to, value);
    }
  }
  void operator()(float value) const { append(to, value); }
  void operator()(double value) const { append(to, value); }
  void operator()(bool value) const { append_as<std::uint8_t>(to, value); }
  void operator()(std::string_view value) const { append_text(to, value); }
};

void append_array(std::string& to, const GgufArray& array) {
  append(to, array.type);
  append(to, array.size);
  to.append(reinterpret_cast<const char*>(array.numbers.data()), array.numbers.size());
  for (const std::string_view text : array.strings) append_text(to, text);
  for (const GgufArray& inner : array.arrays) append_array(to, inner);
}

template <class T>
void append_numbers(std::string& to, GgufType type, const std::vector<T>& values) {
  append(to, type);
  append(to, std::uint64_t{values.size()});
  to.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

std::uint64_t padded(std::uint64_t bytes) {
  return (bytes + GgufWriter::kAlignment - 1) / GgufWriter::kAlignment * GgufWriter::kAlignment;
}

}  // namespace

void GgufWriter::begin_entry(std::string_view key, GgufType type) {
  append_text(entries_, key);
  append(entries_, type);
  ++n_entries_;
}

void GgufWriter::add(std::string_view key, std::string_view text) {
  begin_entry(key, GgufType::string);
  append_text(entries_, text);
}
void GgufWriter::add(std::string_view key, std::uint32_t value) {
  begin_entry(key, GgufType::u32);
  append(entries_, value);
}
void GgufWriter::add(std::string_view key, float value) {
  begin_entry(key, GgufType::f32);
  append(entries_, value);
}
void GgufWriter::add(std::string_view key, bool value) {
  begin_entry(key, GgufType::boolean);
  append_as<std::uint8_t>(entries_, value);
}
void GgufWriter::add(std::string_view key, const std::vector<std::string>& texts) {
  begin_entry(key, GgufType::array);
  append(entries_, GgufType::string);
  append(entries_, std::uint64_t{texts.size()});
  for (const std::string& text : texts) append_text(entries_, text);
}
void GgufWriter::add(std::string_view key, const std::vector<float>& values) {
  begin_entry(key, GgufType::array);
  append_numbers(entries_, GgufType::f32, values);
}
void GgufWriter::add(std::string_view key, const std::vector<std::int32_t>& values) {
  begin_entry(key, GgufType::array);
  append_numbers(entries_, GgufType::i32, values);
}
void GgufWriter::add(const GgufEntry& entry) {
  begin_entry(entry.key, entry.type);
  if (const auto* array = std::get_if<GgufArray>(&entry.value)) return append_array(entries_, *array);
  std::visit(ScalarAppender{entries_, entry.type}, std::get<GgufScalar>(entry.value));
}

void GgufWriter::add_tensor(std::string_view name, std::span<const std::int64_t> dims, std::uint32_t type,
                            std::uint64_t bytes) {
  append_text(tensors_, name);
  append_as<std::uint32_t>(tensors_, dims.size());
  for (const std::int64_t dim : dims) append_as<std::uint64_t>(tensors_, dim);
  append(tensors_, type);
  append(tensors_, data_bytes_);
  data_bytes_ += padded(bytes);
  sizes_.push_back({bytes});
}

void GgufWriter::begin_data() {
  constexpr std::uint32_t kVersion = 3;
  std::string header = "GGUF";
  append(header, kVersion);
  append(header, std::uint64_t{sizes_.size()});
  append(header, n_entries_);
  header += entries_;
  header += tensors_;
  file_.write(std::as_bytes(std::span(header)));
  pad();
}

void GgufWriter::write_data(std::span<const std::byte> bytes) {
  assert(current_ < sizes_.size());
  TensorSize& tensor = sizes_[current_];
  assert(bytes.size() <= tensor.bytes - tensor.written);
  file_.write(bytes);
  tensor.written += bytes.size();
  if (tensor.written < tensor.bytes) return;
  pad();
  ++current_;
}

void GgufWriter::finish() {
  assert(current_ == sizes_.size());
  file_.commit();
}

void GgufWriter::pad() {
  constexpr std::byte kZeros[kAlignment] = {};
  file_.write(std::span(kZeros).first(static_cast<std::size_t>(padded(file_.size()) - file_.size())));
}

}  // namespace llamajit
