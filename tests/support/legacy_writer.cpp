#include "tests/support/legacy_writer.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include <fmt/format.h>

#include "jit/base/scalar_math.h"

namespace llamajit::test {
namespace {

constexpr std::size_t kBlock = 32;

template <class T>
void append(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_codes(std::string& out, const LegacyBlock& block) {
  for (std::size_t i = 0; i < kBlock; i += 2) {
    append(out, static_cast<std::uint8_t>(block.codes[i] | block.codes[i + 1] << 4));
  }
}

std::string encoded_row(const float* row, std::size_t cols, const LegacyOptions& options) {
  std::string out;
  if (options.ftype < 2) {
    for (std::size_t i = 0; i < cols; ++i) {
      if (options.ftype == 0) append(out, row[i]);
      if (options.ftype == 1) append(out, jit::float_to_half(row[i]));
    }
    return out;
  }
  std::vector<LegacyBlock> blocks;
  for (std::size_t i = 0; i < cols; i += kBlock) blocks.push_back(legacy_block(row + i, options));
  if (options.ftype == 2) {
    for (const LegacyBlock& block : blocks) {
      append(out, block.scale);
      append_codes(out, block);
    }
    return out;
  }
  for (const LegacyBlock& block : blocks) append(out, block.min);
  for (const LegacyBlock& block : blocks) append(out, block.scale);
  for (const LegacyBlock& block : blocks) append_codes(out, block);
  return out;
}

class PartWriter {
 public:
  PartWriter(const CheckpointWeights& weights, const LegacyOptions& options, int part)
      : weights_(weights), options_(options), part_(static_cast<std::size_t>(part)) {}

  std::string write(const std::vector<std::string>& pieces) {
    const Config& c = weights_.config;
    append(out_, std::uint32_t{0x67676d6c});
    for (const int number :
         {c.vocab_size, c.dim, options_.n_mult, c.n_heads, c.n_layers, c.head_dim(), options_.ftype})
      append(out_, number);
    for (const std::string& piece : pieces) {
      append(out_, static_cast<std::uint32_t>(piece.size()));
      out_ += piece;
    }
    columns("tok_embeddings", weights_.embedding, c.dim);
    vector("norm", weights_.final_norm);
    rows("output", weights_.classifier, c.dim);
    for (std::size_t i = 0; i < weights_.layers.size(); ++i) write_layer(i);
    return std::move(out_);
  }

 private:
  void write_layer(std::size_t index) {
    const auto& layer = weights_.layers[index];
    const Config& c = weights_.config;
    const auto name = [&](const char* part) { return fmt::format("layers.{}.{}", index, part); };
    rows(name("attention.wq"), layer.wq, c.dim);
    rows(name("attention.wk"), layer.wk, c.dim);
    rows(name("attention.wv"), layer.wv, c.dim);
    columns(name("attention.wo"), layer.wo, c.dim);
    rows(name("feed_forward.w1"), layer.gate, c.dim);
    columns(name("feed_forward.w2"), layer.down, c.hidden_dim);
    rows(name("feed_forward.w3"), layer.up, c.dim);
    vector(name("attention_norm"), layer.att_norm);
    vector(name("ffn_norm"), layer.ffn_norm);
  }

  void description(const std::string& name, int ftype, const std::vector<std::size_t>& shape) {
    const std::string whole = name + ".weight";
    append(out_, static_cast<std::int32_t>(shape.size()));
    append(out_, static_cast<std::uint32_t>(whole.size()));
    append(out_, ftype);
    for (const std::size_t n : shape) append(out_, static_cast<std::int32_t>(n));
    out_ += whole;
  }
  void vector(const std::string& name, const std::vector<float>& values) {
    description(name, 0, {values.size()});
    for (const float value : values) append(out_, value);
  }
  void rows(const std::string& name, const std::vector<float>& matrix, int n_cols) {
    const auto cols = static_cast<std::size_t>(n_cols), n = matrix.size() / cols / n_parts();
    description(name, options_.ftype, {cols, n});
    for (std::size_t row = part_ * n; row < (part_ + 1) * n; ++row) {
      out_ += encoded_row(matrix.data() + row * cols, cols, options_);
    }
  }
  void columns(const std::string& name, const std::vector<float>& matrix, int n_cols) {
    const auto cols = static_cast<std::size_t>(n_cols), n = cols / n_parts();
    description(name, options_.ftype, {n, matrix.size() / cols});
    for (std::size_t row = 0; row < matrix.size() / cols; ++row) {
      out_ += encoded_row(matrix.data() + row * cols + part_ * n, n, options_);
    }
  }
  std::size_t n_parts() const { return static_cast<std::size_t>(options_.n_parts); }

  const CheckpointWeights& weights_;
  const LegacyOptions& options_;
  std::size_t part_;
  std::string out_;
};

}  // namespace

float LegacyBlock::value(int i) const {
  return std::fma(scale, static_cast<float>(codes[i]), min);
}

// As q4_1, but that q4_0's min is eight scales below zero.
LegacyBlock legacy_block(const float* weights, const LegacyOptions& options) {
  const auto rounded = [&](float x) {
    return options.half_scales ? jit::half_to_float(jit::float_to_half(x)) : x;
  };
  LegacyBlock block;
  if (options.ftype == 2) {
    float largest = 0;
    for (std::size_t i = 0; i < kBlock; ++i) largest = std::max(largest, std::fabs(weights[i]));
    block.scale = rounded(largest / 7);
    block.min = -8 * block.scale;
  } else {
    const auto [least, most] = std::minmax_element(weights, weights + kBlock);
    block.min = rounded(*least);
    block.scale = rounded((*most - *least) / 15);
  }
  for (std::size_t i = 0; i < kBlock; ++i) {
    const float code = block.scale > 0 ? std::nearbyint((weights[i] - block.min) / block.scale) : 0;
    block.codes[i] = static_cast<std::uint8_t>(std::clamp(code, 0.0F, 15.0F));
  }
  return block;
}

std::vector<float> legacy_values(const std::vector<float>& matrix, const LegacyOptions& options) {
  std::vector<float> values = matrix;
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    if (options.ftype == 1) values[i] = jit::half_to_float(jit::float_to_half(matrix[i]));
    if (options.ftype < 2 || i % kBlock != 0) continue;
    const LegacyBlock block = legacy_block(matrix.data() + i, options);
    for (std::size_t k = 0; k < kBlock; ++k) values[i + k] = block.value(static_cast<int>(k));
  }
  return values;
}

std::vector<std::string> legacy_files(const CheckpointWeights& weights,
                                      const std::vector<std::string>& pieces, const LegacyOptions& options) {
  std::vector<std::string> parts;
  parts.reserve(static_cast<std::size_t>(options.n_parts));
  for (int part = 0; part < options.n_parts; ++part) {
    parts.push_back(PartWriter(weights, options, part).write(pieces));
  }
  return parts;
}

}  // namespace llamajit::test
