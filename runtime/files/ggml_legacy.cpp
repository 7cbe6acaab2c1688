#include "runtime/files/ggml_legacy.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>

#include "jit/formats/packing.h"
#include "jit/formats/quantizer.h"
#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

constexpr std::uint32_t kGgmlMagic = 0x67676d6c;
constexpr int kMaxSize = 1 << 20;  // of a row; products of two fit 64 bits many times over

// By their numbers.
constexpr std::array<jit::Format, 4> kFormats{{{jit::FormatKind::f32, 0},
                                               {jit::FormatKind::f16, 0},
                                               {jit::FormatKind::q4_0_f32, 32},
                                               {jit::FormatKind::q4_1_f32, 32}}};

// The limits are far above any model.
struct GgmlCount {
  const char* name;
  int GgmlLegacyHeader::*member;
  int limit;
};
constexpr std::array<GgmlCount, 6> kGgmlCounts{{
    {"header.n_vocab", &GgmlLegacyHeader::n_vocab, 1 << 24},
    {"header.n_embd", &GgmlLegacyHeader::n_embd, kMaxSize},
    {"header.n_mult", &GgmlLegacyHeader::n_mult, kMaxSize},
    {"header.n_head", &GgmlLegacyHeader::n_head, kMaxSize},
    {"header.n_layer", &GgmlLegacyHeader::n_layer, 1 << 14},
    {"header.n_rot", &GgmlLegacyHeader::n_rot, kMaxSize},
}};

void check_heads(const ByteReader& reader, const GgmlLegacyHeader& h) {
  if (h.n_embd % h.n_head != 0 || h.n_embd / h.n_head % 2 != 0) {
    reader.fail("header.n_head",
                fmt::format("a divisor of n_embd {} that makes heads of an even size", h.n_embd),
                fmt::to_string(h.n_head));
  }
  if (h.n_rot != h.n_embd / h.n_head) {
    reader.fail("header.n_rot", fmt::format("{}, n_embd / n_head", h.n_embd / h.n_head),
                fmt::to_string(h.n_rot));
  }
  if (h.hidden_dim() > kMaxSize) {
    reader.fail("header.n_mult", fmt::format("a feed-forward of at most {} values", kMaxSize),
                fmt::format("{}, which makes {}", h.n_mult, h.hidden_dim()));
  }
}

}  // namespace

std::int64_t GgmlLegacyHeader::hidden_dim() const {
  const std::int64_t least = 2 * (4 * std::int64_t{n_embd}) / 3;
  return (least + n_mult - 1) / n_mult * n_mult;
}

bool is_ggml_legacy(const std::string& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  return bytes.size() >= sizeof kGgmlMagic && std::memcmp(bytes.data(), &kGgmlMagic, sizeof kGgmlMagic) == 0;
}

const jit::Format* ggml_legacy_format(int ftype) {
  if (ftype < 0 || static_cast<std::size_t>(ftype) >= kFormats.size()) return nullptr;
  return &kFormats[static_cast<std::size_t>(ftype)];
}

GgmlLegacyFile::GgmlLegacyFile(const std::string& path) {
  parts_.emplace_back(path);
  ByteReader reader(path, parts_.front().bytes());
  read_header(reader);
  read_pieces(reader);
  const std::uint64_t prefix_bytes = reader.position();
  read_tensors(reader);
  add_other_parts(prefix_bytes);
  check_intact();  // all of this was read before, perhaps from pages that are gone
}

void GgmlLegacyFile::read_header(ByteReader& reader) {
  const std::uint32_t magic = reader.u32("magic");
  if (magic != kGgmlMagic)
    reader.fail("magic", fmt::format("{:#010x} (ggml)", kGgmlMagic), fmt::format("{:#010x}", magic));
  for (const GgmlCount& field : kGgmlCounts) header_.*field.member = reader.i32(field.name);
  header_.ftype = reader.i32("header.ftype");
  for (const GgmlCount& field : kGgmlCounts) {
    const int count = header_.*field.member;
    if (count > 0 && count <= field.limit) continue;
    reader.fail(field.name, fmt::format("a positive count up to {}", field.limit), fmt::to_string(count));
  }
  check_heads(reader, header_);
  if (ggml_legacy_format(header_.ftype) == nullptr) {
    reader.fail("header.ftype", "0 (F32), 1 (F16), 2 (Q4_0) or 3 (Q4_1)", fmt::to_string(header_.ftype));
  }
}

void GgmlLegacyFile::read_pieces(ByteReader& reader) {
  constexpr std::uint64_t kLeastBytes = 4;  // of a piece: its length
  const auto count = static_cast<std::uint64_t>(header_.n_vocab);
  pieces_.reserve(std::min(count, reader.remaining() / kLeastBytes));
  for (std::uint64_t id = 0; id < count; ++id) {
    const std::uint32_t length = reader.u32({"vocabulary", id, "length"});
    pieces_.push_back(as_text(reader.take(length, {"vocabulary", id, "bytes"})));
  }
}

void GgmlLegacyFile::read_tensors(ByteReader& reader) {
  auto& index = index_.emplace_back();
  while (reader.remaining() > 0) {
    const GgmlLegacyTensor tensor = read_tensor(reader);
    if (!index.emplace(tensor.name, tensors_.size()).second) {
      reader.fail(std::string(tensor.name), "no tensor of a name that was there before", "one");
    }
    tensors_.push_back(tensor);
  }
}

GgmlLegacyTensor GgmlLegacyFile::read_tensor(ByteReader& reader) const {
  const std::uint64_t number = index_.back().size();
  GgmlLegacyTensor tensor;
  tensor.part = index_.size() - 1;
  tensor.n_dims = reader.i32({"tensors", number, "n_dims"});
  const std::uint32_t name_length = reader.u32({"tensors", number, "name_length"});
  const int ftype = reader.i32({"tensors", number, "ftype"});
  if (tensor.n_dims != 1 && tensor.n_dims != 2) {
    reader.fail({"tensors", number, "n_dims"}, "1 or 2", fmt::to_string(tensor.n_dims));
  }
  const int cols = reader.i32({"tensors", number, "ne[0]"});
  const int rows = tensor.n_dims == 2 ? reader.i32({"tensors", number, "ne[1]"}) : 1;
  tensor.name = as_text(reader.take(name_length, {"tensors", number, "name"}));
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (std::ranges::any_of(tensor.name, is_control)) {
    reader.fail({"tensors", number, "name"}, "no control characters",
                fmt::format("'{}'", escaped(tensor.name)));
  }
  const std::string name(tensor.name);
  const jit::Format* const format = ggml_legacy_format(ftype);
  if (format == nullptr) reader.fail(name + " (ftype)", "0, 1, 2 or 3", fmt::to_string(ftype));
  if (cols <= 0 || rows <= 0)
    reader.fail(name, "a shape of positive counts", fmt::format("({}, {})", rows, cols));
  if (has_codes(*format) && cols % format->group != 0) {
    reader.fail(name, fmt::format("rows of whole blocks of {} weights", format->group),
                fmt::format("rows of {}", cols));
  }
  tensor.format = *format;
  tensor.cols = cols;
  tensor.rows = rows;
  tensor.offset = reader.position();
  const auto row_bytes = static_cast<std::uint64_t>(jit::row_bytes(format->kind, cols));
  tensor.data = reader.take(reader.product({static_cast<std::uint64_t>(rows), row_bytes}, name), name);
  return tensor;
}

// The embedding is split by columns, and so says how many parts there are.
void GgmlLegacyFile::add_other_parts(std::uint64_t prefix_bytes) {
  constexpr std::string_view kEmbedding = "tok_embeddings.weight";
  const GgmlLegacyTensor* const embedding = find(kEmbedding, 0);
  if (embedding == nullptr) fail(0, kEmbedding, "a tensor of this name", "none");
  if (header_.n_embd % embedding->cols != 0) {
    fail(0, kEmbedding,
         fmt::format("rows of n_embd {}, or an n-th of it in a file of n parts", header_.n_embd),
         fmt::format("rows of {}", embedding->cols));
  }
  const std::int64_t n_parts = header_.n_embd / embedding->cols;  // before more tensors move this one
  const std::span<const std::byte> prefix = parts_.front().bytes().first(prefix_bytes);
  const std::string first = path();
  for (std::int64_t part = 1; part < n_parts; ++part) {
    const std::string part_path = fmt::format("{}.{}", first, part);
    const MappedFile& file = parts_.emplace_back(part_path);
    ByteReader reader(part_path, file.bytes());
    if (!std::ranges::equal(reader.take(prefix_bytes, "header and vocabulary"), prefix)) {
      reader.fail("header and vocabulary", fmt::format("those of {}", first), "others");
    }
    read_tensors(reader);
  }
}

const GgmlLegacyTensor* GgmlLegacyFile::find(std::string_view name, std::size_t part) const {
  const auto found = index_[part].find(name);
  return found == index_[part].end() ? nullptr : &tensors_[found->second];
}

void GgmlLegacyFile::fail(std::size_t part, std::string_view field, std::string_view expected,
                          std::string_view found) const {
  throw std::runtime_error(
      fmt::format("{}: {}: expected {}, found {}", parts_[part].path(), field, expected, found));
}

void GgmlLegacyFile::check_intact() const {
  for (const MappedFile& part : parts_) part.check_intact();
}

}  // namespace llamajit
