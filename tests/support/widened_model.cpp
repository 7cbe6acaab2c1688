#include "tests/support/widened_model.h"

#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

#include "jit/base/float_bits.h"
#include "jit/formats/quantizer.h"
#include "runtime/files/gguf.h"
#include "runtime/files/gguf_writer.h"
#include "tests/support/copying_heads.h"

namespace llamajit {
namespace {

constexpr std::uint32_t kF32 = 0, kF16 = 1;  // GGUF's numbers of types

// Numbers between -0.05 and 0.05 (Knuth's linear congruential generator).
class Noise {
 public:
  float next() {
    state_ = state_ * 6364136223846793005 + 1442695040888963407;
    return (static_cast<float>(state_ >> 40) / 16777216.0F - 0.5F) * 0.1F;
  }

 private:
  std::uint64_t state_ = 1;
};

// Values that stand in groups, which get longer: heads, or a vector that is one group.
struct Axis {
  std::int64_t from, to, groups;

  std::int64_t size() const { return groups * to; }
  // Where the value was; nothing if it is new.
  std::optional<std::int64_t> before(std::int64_t at) const {
    if (at % to >= from) return std::nullopt;
    return at / to * from + at % to;
  }
  void place(std::span<const float> values, float scale, std::span<float> to_values) const {
    for (std::int64_t group = 0; group < groups; ++group) {
      for (std::int64_t i = 0; i < from; ++i)
        to_values[static_cast<std::size_t>(group * to + i)] =
            scale * values[static_cast<std::size_t>(group * from + i)];
    }
  }
};

class Widener {
 public:
  Widener(const std::string& in, const std::string& out, const Widening& to)
      : from_(in),
        to_(to),
        arch_(from_.string("general.architecture").value_or("")),
        layers_(static_cast<int>(from_.integer(arch_ + ".block_count", 1, to.layers).value())),
        hidden_(static_cast<int>(from_.integer(arch_ + ".feed_forward_length", 1, to.hidden_dim).value())),
        dim_(static_cast<int>(from_.integer(arch_ + ".embedding_length", 1, 1 << 20).value())),
        writer_(out) {
    if (to.copies) add_heads();
  }

  void write() {
    write_keys();
    const std::vector<Part> parts = all_parts();
    for (const Part& part : parts) {
      const std::int64_t rows = part.rows.size(), cols = part.cols.size();
      const std::vector<std::int64_t> dims = part.is_vector ? std::vector{cols} : std::vector{cols, rows};
      writer_.add_tensor(part.name, dims, part.is_vector ? kF32 : kF16,
                         static_cast<std::uint64_t>(rows * cols * (part.is_vector ? 4 : 2)));
    }
    writer_.begin_data();
    for (const Part& part : parts) write_part(part);
    writer_.finish();
  }

 private:
  struct Part {
    std::string name;
    const GgufTensor* from;  // what it begins with
    Axis rows, cols;
    bool is_vector;
    bool is_new;   // of a layer that the model has not: nothing is taken over
    bool is_zero;  // what is new is zero
    float scale = 1;
  };

  void add_heads() {
    const auto heads = static_cast<int>(from_.integer(arch_ + ".attention.head_count", 1, 1 << 20).value());
    if (heads * CopyingHeads::kHeadSize != dim_) {
      from_.fail(arch_ + ".attention.head_count", fmt::format("heads of size {}", CopyingHeads::kHeadSize),
                 fmt::to_string(heads));
    }
    const GgufTensor& embedding = *from_.find_tensor("token_embd.weight");
    std::vector<float> row(static_cast<std::size_t>(dim_));
    std::vector<double> lengths;
    for (std::int64_t token = 0; token < embedding.dims[1]; ++token) {
      read_row(embedding, token, row.data());
      lengths.push_back(std::sqrt(std::inner_product(row.begin(), row.end(), row.begin(), 0.0)));
    }
    const auto first = from_.integer("tokenizer.ggml.bos_token_id", 0, embedding.dims[1] - 1);
    const double theta = from_.number(arch_ + ".rope.freq_base").value_or(10000);
    copying_.emplace(dim_, heads, std::move(lengths), static_cast<int>(first.value_or(1)), theta,
                     to_.renaming);
  }

  void write_keys() {
    std::map<std::string, std::uint32_t> counts = {
        {arch_ + ".block_count", to_.layers + first_layer()},
        {arch_ + ".feed_forward_length", to_.hidden_dim},
        {"general.file_type", 1},  // mostly F16
    };
    if (copying_) {
      counts[arch_ + ".embedding_length"] = CopyingHeads::kWiden * dim_;
      for (const auto* const length : {".attention.key_length", ".attention.value_length"})
        counts[arch_ + length] = CopyingHeads::kWiderHeadSize;
      counts[arch_ + ".rope.dimension_count"] = CopyingHeads::kHeadSize;
    }
    const std::string eps = arch_ + ".attention.layer_norm_rms_epsilon";
    for (const GgufEntry& entry : from_.metadata()) {
      if (copying_ && entry.key == eps) {
        writer_.add(eps, static_cast<float>(from_.number(eps).value() / CopyingHeads::kWiden));
      } else if (!counts.contains(std::string(entry.key))) {
        writer_.add(entry);
      }
    }
    for (const auto& [key, count] : counts) writer_.add(key, count);
  }

  // How many layers come before the model's own.
  int first_layer() const { return copying_ ? CopyingHeads::kLayers : 0; }

  // Of the rows or columns of a matrix of the model.
  Axis axis_of(std::int64_t size, bool is_stream, bool is_hidden, bool is_heads) const {
    if (is_stream) return {size, copying_ ? CopyingHeads::kWiden * size : size, 1};
    if (is_hidden) return {size, to_.hidden_dim, 1};
    if (is_heads && copying_)
      return {CopyingHeads::kHeadSize, CopyingHeads::kWiderHeadSize, size / CopyingHeads::kHeadSize};
    return {size, size, 1};
  }

  Part part_of(const GgufTensor& tensor, const std::string& name, bool is_new) const {
    const auto is = [&](std::string_view part) { return name.find(part) != std::string::npos; };
    const bool is_vector = tensor.n_dims == 1, reads_hidden = is("ffn_down"), reads_heads = is("attn_output");
    const bool writes_hidden = is("ffn_gate") || is("ffn_up"), adds_to_stream = reads_hidden || reads_heads;
    const bool writes_heads = is("attn_q.") || is("attn_k.") || is("attn_v.");
    // Columns that are new to a layer of the model would be read.
    const bool is_zero = adds_to_stream || (copying_ && (!is_new || is_circuit(name)));
    Part part{name,
              &tensor,
              axis_of(tensor.dims[1], adds_to_stream, writes_hidden, writes_heads),
              axis_of(tensor.dims[0], !adds_to_stream, reads_hidden, reads_heads),
              is_vector,
              is_new,
              is_zero};
    if (!copying_) return part;
    // A norm's mean is of more values, of which those beside the model's are next to nothing; and scores are divided by the
    // root of a head's size.
    if (is_vector) part.scale = 1 / std::sqrt(static_cast<float>(CopyingHeads::kWiden));
    if (is("attn_q."))
      part.scale = std::sqrt(static_cast<float>(CopyingHeads::kWiderHeadSize / CopyingHeads::kHeadSize));
    return part;
  }

  // Whether it is of the layers that copy.
  bool is_circuit(std::string_view name) const {
    if (!copying_ || !name.starts_with("blk.")) return false;
    return std::stoi(std::string(name.substr(4))) < CopyingHeads::kLayers;
  }

  std::vector<Part> all_parts() const {
    std::vector<Part> parts;
    constexpr std::string_view kLayer = "blk.", kFirst = "blk.0.";
    const auto add_layer = [&](int layer) {
      for (const GgufTensor& tensor : from_.tensors()) {
        if (!tensor.name.starts_with(kFirst)) continue;
        parts.push_back(
            part_of(tensor, fmt::format("blk.{}.{}", layer, tensor.name.substr(kFirst.size())), true));
      }
    };
    for (int layer = 0; layer < first_layer(); ++layer) add_layer(layer);
    for (const GgufTensor& tensor : from_.tensors()) {
      std::string name(tensor.name);
      if (name.starts_with(kLayer)) {
        const std::size_t dot = name.find('.', kLayer.size());
        const int layer = std::stoi(name.substr(kLayer.size(), dot - kLayer.size())) + first_layer();
        name = fmt::format("blk.{}{}", layer, name.substr(dot));
      }
      parts.push_back(part_of(tensor, name, false));
    }
    for (int layer = layers_ + first_layer(); layer < to_.layers + first_layer(); ++layer) add_layer(layer);
    if (copying_ && from_.find_tensor("output.weight") == nullptr)
      parts.push_back(part_of(*from_.find_tensor("token_embd.weight"), "output.weight", false));
    return parts;
  }

  void write_part(const Part& part) {
    std::vector<float> row(static_cast<std::size_t>(part.cols.size()));
    std::vector<float> old(static_cast<std::size_t>(part.from->dims[0]));
    std::vector<std::uint16_t> halves(row.size());
    for (std::int64_t r = 0; r < part.rows.size(); ++r) {
      for (float& x : row) x = part.is_zero || part.is_vector ? 0.0F : noise_.next();
      // Norms of new layers are those of the first.
      if (const auto before = part.rows.before(r);
          before && (!part.is_new || part.is_vector) && !is_circuit(part.name)) {
        read_row(*part.from, *before, old.data());
        part.cols.place(old, part.scale, row);
      }
      if (copying_) copying_->add_to(part.name, r, row);
      if (part.is_vector) {
        writer_.write_data(std::as_bytes(std::span(row)));
        continue;
      }
      for (std::size_t i = 0; i < row.size(); ++i) halves[i] = jit::float_to_half(row[i]);
      writer_.write_data(std::as_bytes(std::span(halves)));
    }
  }

  static void read_row(const GgufTensor& tensor, std::int64_t row, float* to) {
    const jit::FormatKind kind = jit::find_ggml_format(tensor.type->name).value().kind;
    const std::int64_t bytes = jit::row_bytes(kind, tensor.dims[0]);
    jit::dequantize_row(kind, tensor.data.data() + row * bytes, tensor.dims[0], to);
  }

  GgufFile from_;
  Widening to_;
  std::string arch_;
  int layers_, hidden_, dim_;
  std::optional<CopyingHeads> copying_;
  GgufWriter writer_;
  Noise noise_;
};

}  // namespace

void write_widened(const std::string& in, const std::string& out, const Widening& to) {
  Widener(in, out, to).write();
}

}  // namespace llamajit
