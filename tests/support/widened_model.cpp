#include "tests/support/widened_model.h"

#include <cstdint>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

#include "jit/base/float_bits.h"
#include "jit/formats/quantizer.h"
#include "runtime/files/gguf.h"
#include "runtime/files/gguf_writer.h"

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

class Widener {
 public:
  Widener(const std::string& in, const std::string& out, const Widening& to)
      : from_(in),
        to_(to),
        arch_(from_.string("general.architecture").value_or("")),
        layers_(static_cast<int>(from_.integer(arch_ + ".block_count", 1, to.layers).value())),
        hidden_(static_cast<int>(from_.integer(arch_ + ".feed_forward_length", 1, to.hidden_dim).value())),
        writer_(out) {}

  void write() {
    write_keys();
    const std::vector<Part> parts = all_parts();
    for (const Part& part : parts) {
      const std::int64_t bytes = part.rows * part.cols * (part.is_vector ? 4 : 2);
      const std::vector<std::int64_t> dims =
          part.is_vector ? std::vector{part.cols} : std::vector{part.cols, part.rows};
      writer_.add_tensor(part.name, dims, part.is_vector ? kF32 : kF16, static_cast<std::uint64_t>(bytes));
    }
    writer_.begin_data();
    for (const Part& part : parts) write_part(part);
    writer_.finish();
  }

 private:
  struct Part {
    std::string name;
    const GgufTensor* from;  // what it begins with
    std::int64_t rows, cols;
    bool is_vector;
    bool is_new;   // of a layer that the model has not: nothing is taken over
    bool is_zero;  // what is new is zero
  };

  void write_keys() {
    for (const GgufEntry& entry : from_.metadata()) {
      if (entry.key == arch_ + ".block_count") {
        writer_.add(entry.key, static_cast<std::uint32_t>(to_.layers));
      } else if (entry.key == arch_ + ".feed_forward_length") {
        writer_.add(entry.key, static_cast<std::uint32_t>(to_.hidden_dim));
      } else if (entry.key != "general.file_type") {
        writer_.add(entry);
      }
    }
    writer_.add("general.file_type", std::uint32_t{1});  // mostly F16
  }

  Part part_of(const GgufTensor& tensor, const std::string& name, bool is_new) const {
    const bool widens =
        name.find("ffn_gate") != std::string::npos || name.find("ffn_up") != std::string::npos;
    const bool deepens = name.find("ffn_down") != std::string::npos;
    const bool adds_to_stream = deepens || name.find("attn_output") != std::string::npos;
    return {name,
            &tensor,
            widens ? to_.hidden_dim : tensor.dims[1],
            deepens ? to_.hidden_dim : tensor.dims[0],
            tensor.n_dims == 1,
            is_new,
            adds_to_stream};
  }

  std::vector<Part> all_parts() const {
    std::vector<Part> parts;
    for (const GgufTensor& tensor : from_.tensors())
      parts.push_back(part_of(tensor, std::string(tensor.name), false));
    constexpr std::string_view kFirst = "blk.0.";
    for (int layer = layers_; layer < to_.layers; ++layer) {
      for (const GgufTensor& tensor : from_.tensors()) {
        if (!tensor.name.starts_with(kFirst)) continue;
        parts.push_back(
            part_of(tensor, fmt::format("blk.{}.{}", layer, tensor.name.substr(kFirst.size())), true));
      }
    }
    return parts;
  }

  void write_part(const Part& part) {
    const GgufTensor& tensor = *part.from;
    std::vector<float> row(static_cast<std::size_t>(part.cols));
    std::vector<std::uint16_t> halves(row.size());
    for (std::int64_t r = 0; r < part.rows; ++r) {
      for (float& x : row) x = part.is_zero ? 0.0F : noise_.next();
      // Norms of new layers are those of the first.
      if (r < tensor.dims[1] && (!part.is_new || part.is_vector)) read_row(tensor, r, row.data());
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
  int layers_, hidden_;
  GgufWriter writer_;
  Noise noise_;
};

}  // namespace

void write_widened(const std::string& in, const std::string& out, const Widening& to) {
  Widener(in, out, to).write();
}

}  // namespace llamajit
