#include "tests/support/gguf_writer.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <stdexcept>

#include <fmt/format.h>

#include "jit/base/scalar_math.h"

namespace llamajit::test {
namespace {

void pad(std::string& out, std::uint32_t alignment) {
  out.resize((out.size() + alignment - 1) / alignment * alignment, '\0');
}

template <class T>
std::string bytes_of_all(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

template <class T>
std::string array_of(GgufType type, const std::vector<T>& values) {
  return bytes_of(type) + bytes_of(std::uint64_t{values.size()}) + bytes_of_all(values);
}

std::string q8_0_blocks(const std::vector<float>& weights) {
  constexpr std::size_t kBlock = 32;
  const Quantized quantized = quantize_q8_0(weights, kBlock);
  std::string out;
  for (std::size_t b = 0; b < quantized.scales.size(); ++b) {
    out += bytes_of(jit::float_to_half(quantized.scales[b]));
    out.append(reinterpret_cast<const char*>(quantized.codes.data()) + b * kBlock, kBlock);
  }
  return out;
}

}  // namespace

std::string gguf_string(std::string_view text) {
  return bytes_of(std::uint64_t{text.size()}).append(text);
}

void GgufWriter::add(std::string_view key, GgufType type, const std::string& bytes) {
  entries_.push_back({std::string(key), bytes_of(type) + bytes});
}

void GgufWriter::add(std::string_view key, const std::vector<std::string>& texts) {
  std::string bytes = bytes_of(GgufType::string) + bytes_of(std::uint64_t{texts.size()});
  for (const std::string& text : texts) bytes += gguf_string(text);
  add(key, GgufType::array, bytes);
}
void GgufWriter::add(std::string_view key, const std::vector<float>& values) {
  add(key, GgufType::array, array_of(GgufType::f32, values));
}
void GgufWriter::add(std::string_view key, const std::vector<std::int32_t>& values) {
  add(key, GgufType::array, array_of(GgufType::i32, values));
}

void GgufWriter::remove(std::string_view key) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.key == key; });
}

void GgufWriter::add_tensor(std::string_view name, std::vector<std::uint64_t> dims, std::uint32_t type,
                            std::string data) {
  tensors_.push_back({std::string(name), std::move(dims), type, std::move(data)});
}

void GgufWriter::remove_tensor(std::string_view name) {
  std::erase_if(tensors_, [&](const TensorData& tensor) { return tensor.name == name; });
}

std::string GgufWriter::content() const {
  std::vector<Entry> entries = entries_;
  if (alignment != 32) {
    entries.push_back({"general.alignment", bytes_of(GgufType::u32) + bytes_of(alignment)});
  }
  std::string out = std::string("GGUF") + bytes_of(version) + bytes_of(std::uint64_t{tensors_.size()}) +
                    bytes_of(std::uint64_t{entries.size()});
  for (const Entry& entry : entries) out += gguf_string(entry.key) + entry.bytes;
  std::string data;
  for (const TensorData& tensor : tensors_) {
    out += gguf_string(tensor.name) + bytes_of(static_cast<std::uint32_t>(tensor.dims.size()));
    for (const std::uint64_t dim : tensor.dims) out += bytes_of(dim);
    out += bytes_of(tensor.type) + bytes_of(std::uint64_t{data.size()});
    data += tensor.data;
    pad(data, alignment);
  }
  if (!tensors_.empty()) pad(out, alignment);
  return out + data;
}

std::string encode_tensor(const std::vector<float>& weights, std::uint32_t type) {
  if (type == kF32) return bytes_of_all(weights);
  if (type == kQ8_0) return q8_0_blocks(weights);
  if (type != kF16 && type != kBf16) throw std::invalid_argument("encode_tensor: an unknown type");
  std::string out;
  for (const float w : weights) {
    std::uint32_t bits;
    std::memcpy(&bits, &w, sizeof bits);
    out += bytes_of(type == kF16 ? jit::float_to_half(w) : static_cast<std::uint16_t>(bits >> 16));
  }
  return out;
}

GgufWriter llama_gguf(const CheckpointWeights& weights, std::uint32_t type) {
  const Config& c = weights.config;
  GgufWriter w;
  w.add("general.architecture", "llama");
  w.add("llama.context_length", c.seq_len);
  w.add("llama.embedding_length", c.dim);
  w.add("llama.block_count", c.n_layers);
  w.add("llama.feed_forward_length", c.hidden_dim);
  w.add("llama.attention.head_count", c.n_heads);
  w.add("llama.attention.head_count_kv", c.n_kv_heads);
  w.add("llama.attention.layer_norm_rms_epsilon", c.norm_eps);
  if (c.head_dim() != c.dim / c.n_heads) {
    w.add("llama.attention.key_length", c.head_dim());
    w.add("llama.attention.value_length", c.head_dim());
  }
  const auto vector = [&](const std::string& name, const std::vector<float>& values) {
    w.add_tensor(name, {values.size()}, kF32, encode_tensor(values, kF32));
  };
  const auto matrix = [&](const std::string& name, const std::vector<float>& values, int cols) {
    const auto row = static_cast<std::uint64_t>(cols);
    w.add_tensor(name, {row, values.size() / row}, type, encode_tensor(values, type));
  };
  matrix("token_embd.weight", weights.embedding, c.dim);
  for (std::size_t i = 0; i < weights.layers.size(); ++i) {
    const auto& layer = weights.layers[i];
    const auto name = [&](const char* part) { return fmt::format("blk.{}.{}.weight", i, part); };
    vector(name("attn_norm"), layer.att_norm);
    matrix(name("attn_q"), layer.wq, c.dim);
    matrix(name("attn_k"), layer.wk, c.dim);
    matrix(name("attn_v"), layer.wv, c.dim);
    matrix(name("attn_output"), layer.wo, c.n_heads * c.head_dim());
    vector(name("ffn_norm"), layer.ffn_norm);
    matrix(name("ffn_gate"), layer.gate, c.dim);
    matrix(name("ffn_down"), layer.down, c.hidden_dim);
    matrix(name("ffn_up"), layer.up, c.dim);
  }
  vector("output_norm.weight", weights.final_norm);
  if (!c.shared_classifier) matrix("output.weight", weights.classifier, c.dim);
  return w;
}

void add_llama_tokenizer(GgufWriter& writer, const std::vector<std::string>& pieces) {
  std::vector<float> scores;
  std::vector<std::int32_t> types;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    scores.push_back(-static_cast<float>(i));
    types.push_back(i == 0 ? 2 : i < 3 ? 3 : 1);
  }
  writer.add("tokenizer.ggml.model", "llama");
  writer.add("tokenizer.ggml.tokens", pieces);
  writer.add("tokenizer.ggml.scores", scores);
  writer.add("tokenizer.ggml.token_type", types);
  writer.add("tokenizer.ggml.bos_token_id", 1);
  writer.add("tokenizer.ggml.eos_token_id", 2);
}

}  // namespace llamajit::test
