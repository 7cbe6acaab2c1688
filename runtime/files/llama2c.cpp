#include "runtime/files/llama2c.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "runtime/base/byte_reader.h"
#include "runtime/files/foreign_file.h"

namespace llamajit {
namespace {

constexpr std::uint32_t kLlama2cMagic = 0x616b3432;  // "24ka" in the file
constexpr std::uint64_t kHeaderBytes = 256;          // v1 and v2, with padding
constexpr jit::Format kF32{jit::FormatKind::f32, 0};

struct Header {
  int version = 0;
  Config config;
  jit::Format matrices = kF32;  // norms are f32 in every version
};

// The seven counts that every version begins with, in file order. The limits are far above any model and low
// enough that sums and products of two of them fit 64 bits, and each alone an int many times over.
struct Llama2cCount {
  const char* name;
  int Config::*member;
  int limit;
};
constexpr std::array<Llama2cCount, 7> kLlama2cCounts{{
    {"header.dim", &Config::dim, 1 << 20},
    {"header.hidden_dim", &Config::hidden_dim, 1 << 20},
    {"header.n_layers", &Config::n_layers, 1 << 14},
    {"header.n_heads", &Config::n_heads, 1 << 20},
    {"header.n_kv_heads", &Config::n_kv_heads, 1 << 20},
    {"header.vocab_size", &Config::vocab_size, 1 << 24},
    {"header.seq_len", &Config::seq_len, 1 << 20},
}};

bool in_range(const Config& config, const Llama2cCount& field) {
  return config.*field.member > 0 && config.*field.member <= field.limit;
}

void read_counts(ByteReader& reader, Config& config) {
  for (const Llama2cCount& field : kLlama2cCounts) config.*field.member = reader.i32(field.name);
}

void check_counts(const ByteReader& reader, const Config& config) {
  for (const Llama2cCount& field : kLlama2cCounts) {
    if (in_range(config, field)) continue;
    reader.fail(field.name, fmt::format("a positive count up to {}", field.limit),
                fmt::to_string(config.*field.member));
  }
  const int heads = config.n_heads;
  if (config.dim % heads != 0) {
    reader.fail("header.n_heads", fmt::format("a divisor of dim {}", config.dim), fmt::to_string(heads));
  }
  if (config.head_dim() % 2 != 0) {
    reader.fail(
        "header.n_heads",
        fmt::format("heads of an even size, as dim {} / n_heads (rotary embedding takes pairs)", config.dim),
        fmt::format("{} heads of size {}", heads, config.head_dim()));
  }
  if (heads % config.n_kv_heads != 0) {
    reader.fail("header.n_kv_heads", fmt::format("a divisor of n_heads {}", heads),
                fmt::to_string(config.n_kv_heads));
  }
}

// The file's first bytes, as a number and as text: "0x46554747 (GGUF)".
std::string first_bytes(ByteReader reader) {
  reader.seek(0, "magic");
  std::string text;
  for (const std::byte byte : reader.take(std::min<std::uint64_t>(4, reader.size()), "magic")) {
    const int c = std::to_integer<unsigned char>(byte);
    text += c < 0x80 && std::isprint(c) != 0 ? static_cast<char>(c) : '.';
  }
  reader.seek(0, "magic");
  return fmt::format("{:#010x} ({})", reader.u32("magic"), text);
}

// v0 has no magic: seven plausible counts are all there is to know it by. One bad count is a damaged
// checkpoint and gets named; more of them are some other kind of file.
Header read_v0_header(ByteReader& reader) {
  Header header;
  Config& config = header.config;
  reader.seek(0, "header");
  reader.take(kLlama2cCounts.size() * sizeof(std::int32_t), "header");
  reader.seek(0, "header");
  read_counts(reader, config);
  config.shared_classifier = config.vocab_size > 0;
  // The sign says whether the classifier is shared. -2^31 has no positive twin and stays for the range check.
  if (config.vocab_size < 0 && config.vocab_size >= -kLlama2cCounts[5].limit)
    config.vocab_size = -config.vocab_size;
  const auto bad = std::ranges::count_if(kLlama2cCounts,
                                         [&](const Llama2cCount& field) { return !in_range(config, field); });
  if (bad > 1) {
    reader.fail(
        "magic",
        fmt::format("a llama2.c checkpoint ({:#010x}, or the seven counts of version 0)", kLlama2cMagic),
        first_bytes(reader));
  }
  check_counts(reader, config);
  return header;
}

// A scale may cover weights of two rows in the files that export.py writes when
// the group does not divide hidden_dim: its groups run over the whole tensor.
// Kernels work row by row, so such files are refused rather than misread.
int read_group_size(ByteReader& reader, const Config& config) {
  const char* const name = "header.group_size";
  const int group = reader.i32(name);
  if (group <= 0) reader.fail(name, "a positive count", fmt::to_string(group));
  for (const auto& [row, size] : {std::pair("dim", config.dim), std::pair("hidden_dim", config.hidden_dim)}) {
    if (size % group == 0) continue;
    reader.fail(name,
                fmt::format("a divisor of {} {} (groups that run across the ends of rows are not supported; "
                            "export the model with a smaller group)",
                            row, size),
                fmt::to_string(group));
  }
  return group;
}

// v1 and v2, after the magic.
Header read_versioned_header(ByteReader& reader) {
  Header header;
  header.version = reader.i32("version");
  if (header.version != 1 && header.version != 2) {
    reader.fail("version", "1 or 2 (a llama2.c checkpoint with a magic)", fmt::to_string(header.version));
  }
  read_counts(reader, header.config);
  check_counts(reader, header.config);
  const std::uint8_t shared = reader.u8("header.shared_classifier");
  if (shared > 1) reader.fail("header.shared_classifier", "0 or 1", fmt::to_string(shared));
  header.config.shared_classifier = shared == 1;
  if (header.version == 2) {
    header.matrices = {jit::FormatKind::int8, read_group_size(reader, header.config)};
  }
  reader.seek(0, "header");
  reader.take(kHeaderBytes, "header");
  return header;
}

Header read_header(ByteReader& reader) {
  if (reader.u32("magic") == kLlama2cMagic) return read_versioned_header(reader);
  if (const auto foreign = describe_foreign_file(reader.bytes(), WantedFile::model)) {
    reader.fail("content", "a model (GGUF, llama2.c or ggml's first format)", *foreign);
  }
  return read_v0_header(reader);
}

Tensor read_tensor(ByteReader& reader, std::string name, jit::Format format, int rows, int cols) {
  Tensor tensor{std::move(name), format, rows, cols, {}, {}};
  const auto numel =
      reader.product({static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols)}, tensor.name);
  if (format.kind == jit::FormatKind::f32) {
    tensor.data = reader.take(reader.product({numel, sizeof(float)}, tensor.name), tensor.name);
  } else {
    const std::uint64_t n_scales = numel / static_cast<std::uint64_t>(format.group);
    tensor.data = reader.take(numel, tensor.name);
    tensor.scales =
        reader.take(reader.product({n_scales, sizeof(float)}, tensor.name), tensor.name + " (scales)");
  }
  return tensor;
}

// A layer's tensors in the order of v0. All versions store one kind for all layers, then the next kind.
struct LayerField {
  std::string_view name;
  Tensor LayerTensors::*member;
  int rows;
  int cols;

  bool is_norm() const { return name.ends_with("norm"); }
};

std::array<LayerField, 9> layer_fields(const Config& c) {
  return {{{"att_norm", &LayerTensors::att_norm, 1, c.dim},
           {"wq", &LayerTensors::wq, c.dim, c.dim},
           {"wk", &LayerTensors::wk, c.kv_dim(), c.dim},
           {"wv", &LayerTensors::wv, c.kv_dim(), c.dim},
           {"wo", &LayerTensors::wo, c.dim, c.dim},
           {"ffn_norm", &LayerTensors::ffn_norm, 1, c.dim},
           {"gate", &LayerTensors::gate, c.hidden_dim, c.dim},
           {"down", &LayerTensors::down, c.dim, c.hidden_dim},
           {"up", &LayerTensors::up, c.hidden_dim, c.dim}}};
}

void read_layers(ByteReader& reader, const LayerField& field, jit::Format format, ModelFile& model) {
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    model.layers[i].*field.member =
        read_tensor(reader, fmt::format("layers.{}.{}", i, field.name), format, field.rows, field.cols);
  }
}

void read_v0_tensors(ByteReader& reader, ModelFile& model) {
  const Config& c = model.config;
  model.embedding = read_tensor(reader, "embedding", kF32, c.vocab_size, c.dim);
  for (const LayerField& field : layer_fields(c)) read_layers(reader, field, kF32, model);
  model.final_norm = read_tensor(reader, "final_norm", kF32, 1, c.dim);
  // Tables of the rotary embedding's angles, from before readers computed them; skipped.
  read_tensor(reader, "freq_cos", kF32, c.seq_len, c.head_dim() / 2);
  read_tensor(reader, "freq_sin", kF32, c.seq_len, c.head_dim() / 2);
  if (!c.shared_classifier) model.classifier = read_tensor(reader, "classifier", kF32, c.vocab_size, c.dim);
}

void read_versioned_tensors(ByteReader& reader, const Header& header, ModelFile& model) {
  const Config& c = model.config;
  const auto fields = layer_fields(c);
  for (const LayerField& field : fields) {
    if (field.is_norm()) read_layers(reader, field, kF32, model);
  }
  model.final_norm = read_tensor(reader, "final_norm", kF32, 1, c.dim);
  model.embedding = read_tensor(reader, "embedding", header.matrices, c.vocab_size, c.dim);
  for (const LayerField& field : fields) {
    if (!field.is_norm()) read_layers(reader, field, header.matrices, model);
  }
  if (!c.shared_classifier) {
    model.classifier = read_tensor(reader, "classifier", header.matrices, c.vocab_size, c.dim);
  }
}

std::string describe(const Header& header) {
  if (header.version < 2) return fmt::format("llama2.c v{} (float32)", header.version);
  return fmt::format("llama2.c v2 (Q8_0, groups of {})", header.matrices.group);
}

}  // namespace

bool looks_like_llama2c(std::span<const std::byte> bytes) {
  std::array<std::int32_t, kLlama2cCounts.size()> counts{};
  if (bytes.size() < sizeof counts) return false;
  std::memcpy(counts.data(), bytes.data(), sizeof counts);
  if (counts[0] == static_cast<std::int32_t>(kLlama2cMagic)) return true;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const bool may_be_negative = kLlama2cCounts[i].member == &Config::vocab_size;
    const std::int64_t count = may_be_negative ? std::abs(std::int64_t{counts[i]}) : counts[i];
    if (count <= 0 || count > kLlama2cCounts[i].limit) return false;
  }
  return true;
}

ModelFile read_llama2c(const std::string& path) {
  ModelFile model;
  model.parts.emplace_back(path);
  ByteReader reader(path, model.parts.front().bytes());
  const Header header = read_header(reader);
  model.file_format = describe(header);
  model.config = header.config;
  model.layers.resize(static_cast<std::size_t>(header.config.n_layers));
  if (header.version == 0) {
    read_v0_tensors(reader, model);
  } else {
    read_versioned_tensors(reader, header, model);
  }
  if (reader.remaining() != 0) {
    reader.fail("file size", fmt::format("{} bytes, as the header says", reader.position()),
                fmt::to_string(reader.size()));
  }
  if (model.config.shared_classifier) model.classifier = model.embedding;
  model.check_intact();  // the header was read before, perhaps from pages that are gone
  return model;
}

}  // namespace llamajit
