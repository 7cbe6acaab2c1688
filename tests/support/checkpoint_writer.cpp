#include "tests/support/checkpoint_writer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <stdexcept>

namespace llamajit::test {
namespace {

using Layer = CheckpointWeights::Layer;
using LayerMember = std::vector<float> Layer::*;

constexpr LayerMember kMatrices[] = {&Layer::wq,   &Layer::wk,   &Layer::wv, &Layer::wo,
                                     &Layer::gate, &Layer::down, &Layer::up};

template <class T>
void append(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

template <class T>
void append(std::string& out, const std::vector<T>& values) {
  out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

void append_layers(std::string& out, const CheckpointWeights& weights, LayerMember member) {
  for (const Layer& layer : weights.layers) append(out, layer.*member);
}

void append_counts(std::string& out, const Config& c, int vocab_size) {
  for (const int count : {c.dim, c.hidden_dim, c.n_layers, c.n_heads, c.n_kv_heads, vocab_size, c.seq_len}) {
    append(out, static_cast<std::int32_t>(count));
  }
}

// The part that v1 and v2 share: the header of 256 bytes and the norms.
std::string begin_versioned(const CheckpointWeights& weights, int version, int group) {
  std::string out = "24ka";
  append(out, static_cast<std::int32_t>(version));
  append_counts(out, weights.config, weights.config.vocab_size);
  append(out, static_cast<std::uint8_t>(weights.config.shared_classifier));
  if (version == 2) append(out, static_cast<std::int32_t>(group));
  out.resize(256, '\0');
  append_layers(out, weights, &Layer::att_norm);
  append_layers(out, weights, &Layer::ffn_norm);
  append(out, weights.final_norm);
  return out;
}

// Cosines and sines of the rotary embedding's angles, (seq_len, head_dim/2) each.
void append_rotary_tables(std::string& out, const Config& c) {
  for (const bool sine : {false, true}) {
    for (int position = 0; position < c.seq_len; ++position) {
      for (int i = 0; i < c.head_dim(); i += 2) {
        const double angle = position / std::pow(10000.0, static_cast<double>(i) / c.head_dim());
        append(out, static_cast<float>(sine ? std::sin(angle) : std::cos(angle)));
      }
    }
  }
}

}  // namespace

CheckpointWeights random_weights(const Config& config, std::uint64_t seed) {
  std::mt19937_64 random(seed);  // distributions differ between libraries; the engine does not
  // Uniform in [middle - reach, middle + reach).
  const auto fill = [&](int rows, int cols, float middle, float reach) {
    std::vector<float> values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols));
    for (float& v : values) {
      v = middle + reach * (static_cast<float>(random() >> 40) / static_cast<float>(1 << 23) - 1.0F);
    }
    return values;
  };
  const auto norm = [&] { return fill(1, config.dim, 1.0F, 0.25F); };
  const auto matrix = [&](int rows, int cols) {
    return fill(rows, cols, 0.0F, std::sqrt(3.0F / static_cast<float>(cols)));  // variance 1 / cols
  };
  CheckpointWeights w;
  w.config = config;
  w.embedding = fill(config.vocab_size, config.dim, 0.0F, 1.0F);
  for (int i = 0; i < config.n_layers; ++i) {
    Layer layer;
    layer.att_norm = norm();
    layer.wq = matrix(config.q_dim(), config.dim);
    layer.wk = matrix(config.kv_dim(), config.dim);
    layer.wv = matrix(config.kv_dim(), config.dim);
    layer.wo = matrix(config.dim, config.q_dim());
    layer.ffn_norm = norm();
    layer.gate = matrix(config.hidden_dim, config.dim);
    layer.down = matrix(config.dim, config.hidden_dim);
    layer.up = matrix(config.hidden_dim, config.dim);
    w.layers.push_back(std::move(layer));
  }
  w.final_norm = norm();
  if (!config.shared_classifier) w.classifier = matrix(config.vocab_size, config.dim);
  return w;
}

Quantized quantize_q8_0(std::span<const float> weights, int group) {
  const auto size = static_cast<std::size_t>(group);
  if (weights.size() % size != 0) throw std::invalid_argument("the group does not divide the tensor");
  Quantized result;
  for (std::size_t begin = 0; begin < weights.size(); begin += size) {
    const auto block = weights.subspan(begin, size);
    float largest = 0;
    for (const float w : block) largest = std::max(largest, std::fabs(w));
    const float scale = largest / 127.0F;
    result.scales.push_back(scale);
    for (const float w : block) {
      result.codes.push_back(scale == 0 ? std::int8_t{0}
                                        : static_cast<std::int8_t>(std::nearbyint(w / scale)));
    }
  }
  return result;
}

std::string write_v0(const CheckpointWeights& weights) {
  const Config& c = weights.config;
  std::string out;
  append_counts(out, c, c.shared_classifier ? c.vocab_size : -c.vocab_size);
  append(out, weights.embedding);
  for (const LayerMember member : {&Layer::att_norm, &Layer::wq, &Layer::wk, &Layer::wv, &Layer::wo,
                                   &Layer::ffn_norm, &Layer::gate, &Layer::down, &Layer::up}) {
    append_layers(out, weights, member);
  }
  append(out, weights.final_norm);
  append_rotary_tables(out, c);
  append(out, weights.classifier);
  return out;
}

std::string write_v1(const CheckpointWeights& weights) {
  std::string out = begin_versioned(weights, 1, 0);
  append(out, weights.embedding);
  for (const LayerMember member : kMatrices) append_layers(out, weights, member);
  append(out, weights.classifier);
  return out;
}

std::string write_v2(const CheckpointWeights& weights, int group) {
  std::string out = begin_versioned(weights, 2, group);
  const auto append_matrix = [&](const std::vector<float>& matrix) {
    const Quantized quantized = quantize_q8_0(matrix, group);
    append(out, quantized.codes);
    append(out, quantized.scales);
  };
  append_matrix(weights.embedding);
  for (const LayerMember member : kMatrices) {
    for (const Layer& layer : weights.layers) append_matrix(layer.*member);
  }
  append_matrix(weights.classifier);
  return out;
}

}  // namespace llamajit::test
