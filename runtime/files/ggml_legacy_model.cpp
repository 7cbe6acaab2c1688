#include "runtime/files/ggml_legacy_model.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "jit/formats/packing.h"
#include "jit/formats/quantizer.h"
#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

using jit::FormatKind;

constexpr int kContext = 2048;  // LLaMA's; the file has none
constexpr TokenId kFirstByte = 3, kBytesEnd = kFirstByte + 256;

// Each part of a file has either some rows or some columns of a matrix.
enum class Split : std::uint8_t { rows, columns };

std::string shape_of(std::int64_t rows, std::int64_t cols) {
  return rows == 1 ? fmt::format("({})", cols) : fmt::format("({}, {})", rows, cols);
}

// A row of Q4_1 as blocks.
void take_into_blocks(const std::byte* minima, std::int64_t n_blocks, std::byte* to) {
  constexpr std::size_t kFloat = 4, kCodes = 16;
  const std::byte* scales = minima + n_blocks * static_cast<std::int64_t>(kFloat);
  const std::byte* codes = scales + n_blocks * static_cast<std::int64_t>(kFloat);
  for (std::int64_t i = 0; i < n_blocks; ++i) {
    std::memcpy(to, minima, kFloat);
    std::memcpy(to + kFloat, scales, kFloat);
    std::memcpy(to + 2 * kFloat, codes, kCodes);
    minima += kFloat;
    scales += kFloat;
    codes += kCodes;
    to += 2 * kFloat + kCodes;
  }
}

class GgmlModelReader {
 public:
  explicit GgmlModelReader(const GgmlLegacyFile& file) : file_(file) {}

  ModelFile read() {
    const GgmlLegacyHeader& h = file_.header();
    Config& c = model_.config;
    c.dim = h.n_embd;
    c.hidden_dim = static_cast<int>(h.hidden_dim());
    c.n_layers = h.n_layer;
    c.n_heads = c.n_kv_heads = h.n_head;
    c.vocab_size = h.n_vocab;
    c.seq_len = kContext;
    const std::size_t n_parts = file_.parts().size();
    model_.file_format = fmt::format("ggml legacy ({}{})", to_string(matrices()),
                                     n_parts > 1 ? fmt::format(", {} parts", n_parts) : "");
    model_.embedding = matrix("tok_embeddings.weight", c.vocab_size, c.dim, Split::columns);
    for (int i = 0; i < c.n_layers; ++i) model_.layers.push_back(layer(i));
    model_.final_norm = vector("norm.weight", c.dim);
    model_.classifier = matrix("output.weight", c.vocab_size, c.dim, Split::rows);
    refuse_other_tensors();
    return std::move(model_);
  }

 private:
  jit::Format matrices() const { return *ggml_legacy_format(file_.header().ftype); }

  LayerTensors layer(int index) {
    const Config& c = model_.config;
    const auto name = [&](std::string_view part) { return fmt::format("layers.{}.{}.weight", index, part); };
    LayerTensors to;
    to.att_norm = vector(name("attention_norm"), c.dim);
    to.wq = matrix(name("attention.wq"), c.dim, c.dim, Split::rows);
    to.wk = matrix(name("attention.wk"), c.dim, c.dim, Split::rows);
    to.wv = matrix(name("attention.wv"), c.dim, c.dim, Split::rows);
    to.wo = matrix(name("attention.wo"), c.dim, c.dim, Split::columns);
    to.ffn_norm = vector(name("ffn_norm"), c.dim);
    to.gate = matrix(name("feed_forward.w1"), c.hidden_dim, c.dim, Split::rows);
    to.down = matrix(name("feed_forward.w2"), c.dim, c.hidden_dim, Split::columns);
    to.up = matrix(name("feed_forward.w3"), c.hidden_dim, c.dim, Split::rows);
    return to;
  }

  // The first part's, which all others repeat.
  Tensor vector(const std::string& name, std::int64_t size) {
    const GgmlLegacyTensor& found = find(name, 0, 1, size, {FormatKind::f32, 0});
    return {name, found.format, 1, size, found.data, {}};
  }

  Tensor matrix(const std::string& name, std::int64_t rows, std::int64_t cols, Split split) {
    const auto n_parts = static_cast<std::int64_t>(file_.parts().size());
    const std::int64_t size = split == Split::rows ? rows : cols;
    if (size % n_parts != 0) {
      file_.fail(0, name,
                 fmt::format("{} {} that {} parts share evenly", size,
                             split == Split::rows ? "rows" : "columns", n_parts),
                 "a rest");
    }
    const std::int64_t part_rows = split == Split::rows ? rows / n_parts : rows;
    const std::int64_t part_cols = split == Split::columns ? cols / n_parts : cols;
    std::vector<const GgmlLegacyTensor*> parts;
    for (std::size_t part = 0; part < file_.parts().size(); ++part) {
      parts.push_back(&find(name, part, part_rows, part_cols, matrices()));
    }
    const bool is_view = n_parts == 1 && matrices().kind != FormatKind::q4_1_f32;
    return {name, matrices(), rows, cols, is_view ? parts.front()->data : joined(parts, rows, cols), {}};
  }

  const GgmlLegacyTensor& find(const std::string& name, std::size_t part, std::int64_t rows,
                               std::int64_t cols, jit::Format format) {
    const GgmlLegacyTensor* const found = file_.find(name, part);
    if (found == nullptr) file_.fail(part, name, "a tensor of this name", "none");
    if (found->rows != rows || found->cols != cols) {
      file_.fail(part, name, "shape " + shape_of(rows, cols), shape_of(found->rows, found->cols));
    }
    if (found->format != format) file_.fail(part, name, to_string(format), to_string(found->format));
    asked_for_.insert(found->name);
    return *found;
  }

  // Rows that are split are put together from the parts' pieces;
  // parts with rows of their own lie one after the other.
  std::span<const std::byte> joined(const std::vector<const GgmlLegacyTensor*>& parts, std::int64_t rows,
                                    std::int64_t cols) {
    const FormatKind kind = parts.front()->format.kind;
    const auto row_bytes = static_cast<std::size_t>(jit::row_bytes(kind, cols));
    std::vector<std::byte>& bytes =
        model_.rearranged.emplace_back(static_cast<std::size_t>(rows) * row_bytes);
    std::byte* begin = bytes.data();
    for (const GgmlLegacyTensor* part : parts) {
      const auto piece = static_cast<std::size_t>(jit::row_bytes(kind, part->cols));
      for (std::int64_t row = 0; row < part->rows; ++row) {
        const std::byte* const from = part->data.data() + static_cast<std::size_t>(row) * piece;
        std::byte* const to = begin + static_cast<std::size_t>(row) * row_bytes;
        if (kind == FormatKind::q4_1_f32) {
          take_into_blocks(from, part->cols / part->format.group, to);
        } else {
          std::memcpy(to, from, piece);
        }
      }
      begin += part->rows == rows ? piece : static_cast<std::size_t>(part->rows) * row_bytes;
    }
    return bytes;
  }

  // A tensor that nobody asked for is a part of the computation that would be left out.
  void refuse_other_tensors() const {
    for (const GgmlLegacyTensor& tensor : file_.tensors()) {
      if (asked_for_.contains(tensor.name)) continue;
      file_.fail(tensor.part, tensor.name, "tensors that a LLaMA has", "another");
    }
  }

  const GgmlLegacyFile& file_;
  ModelFile model_;
  std::unordered_set<std::string_view> asked_for_;
};

PieceKind kind_of(TokenId id, std::string_view bytes) {
  if (id == Vocab::kUnknown) return PieceKind::unknown;
  if (id == Vocab::kBos || id == Vocab::kEos) return PieceKind::control;
  const bool is_byte = id >= kFirstByte && id < kBytesEnd && bytes.size() == 1 &&
                       static_cast<unsigned char>(bytes.front()) == id - kFirstByte;
  return is_byte ? PieceKind::byte : PieceKind::normal;
}

// LLaMA's pieces stand in the order in which SentencePiece merges
// them, but for those of spaces alone, which it merges to last.
float score_of(TokenId id, std::string_view bytes) {
  constexpr float kLast = -1e9F;
  if (id < kBytesEnd) return 0;
  const bool spaces = bytes.find_first_not_of(' ') == std::string_view::npos;
  return spaces ? kLast : -static_cast<float>(id - kBytesEnd);
}

}  // namespace

ModelFile read_ggml_legacy_model(GgmlLegacyFile file) {
  ModelFile model = GgmlModelReader(file).read();
  file.check_intact();
  model.parts = file.release_parts();
  return model;
}

Vocab read_ggml_legacy_vocab(const GgmlLegacyFile& file) {
  if (file.pieces().size() <= Vocab::kEos) {
    file.fail(0, "header.n_vocab", "at least 3 (unknown, begin and end of text)",
              fmt::to_string(file.pieces().size()));
  }
  std::vector<Piece> pieces;
  std::unordered_map<std::string_view, TokenId> latest;
  for (const std::string_view bytes : file.pieces()) {
    constexpr const char* kNames[] = {"<unk>", "<s>",
                                      "</s>"};  // the file has texts that nobody sees, or none
    const auto id = static_cast<TokenId>(pieces.size());
    pieces.push_back(
        {id <= Vocab::kEos ? kNames[id] : std::string(bytes), score_of(id, bytes), kind_of(id, bytes)});
    if (pieces.back().kind != PieceKind::normal) continue;
    // Where pieces are equal, the last is found.
    const auto [same, is_new] = latest.try_emplace(bytes, id);
    if (is_new) continue;
    pieces[static_cast<std::size_t>(same->second)].kind = PieceKind::unused;
    same->second = id;
  }
  file.check_intact();
  return Vocab(std::move(pieces));
}

}  // namespace llamajit
