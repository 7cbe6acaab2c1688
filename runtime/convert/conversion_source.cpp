#include "runtime/convert/conversion_source.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "jit/formats/packing.h"
#include "jit/formats/quantizer.h"
#include "runtime/files/gguf_model.h"

namespace llamajit {
namespace {

using jit::FormatKind;

// Whether the key describes the file that is read, and so does not hold for the one that is written.
bool is_about_the_file(std::string_view key) {
  constexpr std::string_view kKeys[] = {"general.alignment", "general.file_type",
                                        "general.quantization_version"};
  return std::ranges::count(kKeys, key) > 0 || key.starts_with("split.") ||
         key.starts_with("quantize.imatrix.");
}

std::optional<jit::Format> float_format(std::string_view type) {
  const auto format = jit::find_ggml_format(type);
  return format && !has_codes(*format) ? format : std::nullopt;
}

// A family that is not known may have something else under this key.
int count_or(const GgufFile& file, const std::string& key, int other) {
  const GgufEntry* const entry = file.find(key);
  if (entry == nullptr || !std::holds_alternative<GgufScalar>(entry->value)) return other;
  constexpr int kMost = 1 << 20;
  return static_cast<int>(file.integer(key, 1, kMost).value_or(other));
}

ModelOutline outline_of(const GgufFile& file) {
  ModelOutline outline;
  const std::string family(file.string("general.architecture").value_or(""));
  const int heads = count_or(file, family + ".attention.head_count", 1);
  outline.heads_per_kv_head =
      heads / std::min(heads, count_or(file, family + ".attention.head_count_kv", heads));
  outline.n_layers = count_or(file, family + ".block_count", 0);
  outline.has_output = file.find_tensor("output.weight") != nullptr;
  return outline;
}

ConversionSource open_gguf_conversion(const std::string& path) {
  const auto file = std::make_shared<GgufFile>(path);
  check_has_weights(*file);
  ConversionSource source;
  for (const MappedFile& part : file->parts()) source.paths.push_back(part.path());
  for (const GgufTensor& tensor : file->tensors()) {
    source.tensors.push_back({std::string(tensor.name),
                              {tensor.dims.begin(), tensor.dims.begin() + tensor.n_dims},
                              tensor.type->name,
                              tensor.type->number,
                              float_format(tensor.type->name),
                              tensor.data});
  }
  source.outline = outline_of(*file);
  source.has_tokenizer = file->find("tokenizer.ggml.tokens") != nullptr;
  source.add_keys = [file](GgufWriter& writer) {
    for (const GgufEntry& entry : file->metadata()) {
      if (!is_about_the_file(entry.key)) writer.add(entry);
    }
  };
  source.check_intact = [file] { file->check_intact(); };
  return source;
}

}  // namespace

std::int64_t ConversionTensor::rows() const {
  std::int64_t rows = 1;
  for (std::size_t i = 1; i < dims.size(); ++i) rows *= dims[i];
  return rows;
}

void read_row(const ConversionTensor& tensor, std::int64_t row, float* to) {
  const std::int64_t cols = tensor.cols();
  const jit::Format format = tensor.codes ? tensor.codes->format : *tensor.floats;
  if (format.kind != FormatKind::int8) {
    jit::dequantize_row(format.kind, tensor.data.data() + row * jit::row_bytes(format.kind, cols), cols, to);
    return;
  }
  const std::byte* const codes = tensor.data.data() + row * cols;
  const std::byte* const scales = tensor.scales.data() + row * cols / format.group * 4;
  for (std::int64_t i = 0; i < cols; ++i) {
    float scale;
    std::memcpy(&scale, scales + i / format.group * 4, sizeof scale);
    to[i] = scale * static_cast<float>(static_cast<std::int8_t>(codes[i]));
  }
}

void take_codes(const ConversionTensor& tensor, std::int64_t row, std::byte* blocks) {
  const auto& [format, to] = *tensor.codes;
  const std::int64_t cols = tensor.cols();
  const bool is_int8 = format.kind == FormatKind::int8;
  const jit::FormatTraits &traits = *jit::format_traits(to), &from = *jit::format_traits(format.kind);
  for (std::int64_t first = 0; first < cols; first += traits.group) {
    jit::Group group = {};
    const std::int64_t at = row * cols + first;
    if (is_int8) {
      std::memcpy(&group.scale, tensor.scales.data() + at / format.group * 4, sizeof group.scale);
      for (int i = 0; i < traits.group; ++i) {
        group.codes[i] = static_cast<std::uint8_t>(
            std::to_integer<int>(tensor.data[static_cast<std::size_t>(at + i)]) ^ from.zero);
      }
    } else {
      split_block(format.kind, tensor.data.data() + at / from.group * from.block_bytes, group);
    }
    join_block(to, group, blocks + first / traits.group * traits.block_bytes);
  }
}

ConversionSource open_conversion_source(const std::string& path,
                                        const std::optional<std::string>& tokenizer_bin) {
  if (!is_gguf(path)) return open_llama_conversion(path, tokenizer_bin);
  if (tokenizer_bin) {
    throw std::invalid_argument(fmt::format(
        "-z {}: expected a llama2.c checkpoint or a legacy ggml file to put it in, found {}, a GGUF file",
        *tokenizer_bin, path));
  }
  return open_gguf_conversion(path);
}

}  // namespace llamajit
