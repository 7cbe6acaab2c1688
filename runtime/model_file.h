// What every model reader produces: views into the mapped file, and the numbers that describe the model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "jit/formats/format.h"
#include "runtime/mapped_file.h"

namespace llamajit {

// A view of a tensor as the file stores it: row-major (rows, cols), a vector has one row. The views are byte
// spans because files give no alignment.
struct Tensor {
  std::string name;  // as messages and `inspect` show it, e.g. "layers.3.wq"
  jit::Format format;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::span<const std::byte> data;    // f32: rows*cols floats. q8_0: rows*cols int8 codes
  std::span<const std::byte> scales;  // q8_0: rows*cols/group floats, row-major; otherwise empty

  std::size_t bytes() const { return data.size() + scales.size(); }
};

// The value at (row, col), decoded.
float tensor_value(const Tensor& tensor, std::int64_t row, std::int64_t col);

// The model's numbers. Readers guarantee: all counts > 0, dim % n_heads == 0, head_dim even,
// n_heads % n_kv_heads == 0, and every tensor's shape follows from these.
struct Config {
  int dim = 0;
  int hidden_dim = 0;
  int n_layers = 0;
  int n_heads = 0;
  int n_kv_heads = 0;
  int vocab_size = 0;
  int seq_len = 0;                 // the longest context the model was made for, in tokens
  bool shared_classifier = false;  // the classifier is the embedding
  float norm_eps = 1e-5F;
  float rope_theta = 10000.0F;

  int head_dim() const { return dim / n_heads; }
  int kv_dim() const { return head_dim() * n_kv_heads; }
};

struct LayerTensors {
  Tensor att_norm;  // (1, dim)
  Tensor wq;        // (dim, dim)
  Tensor wk;        // (kv_dim, dim)
  Tensor wv;        // (kv_dim, dim)
  Tensor wo;        // (dim, dim)
  Tensor ffn_norm;  // (1, dim)
  Tensor gate;      // (hidden_dim, dim); llama2.c calls it w1
  Tensor down;      // (dim, hidden_dim); w2
  Tensor up;        // (hidden_dim, dim); w3
};

struct ModelFile {
  MappedFile file;          // owns the bytes that all views point into
  std::string file_format;  // "llama2.c v0 (float32)"
  Config config;
  Tensor embedding;  // (vocab_size, dim)
  std::vector<LayerTensors> layers;
  Tensor final_norm;  // (1, dim)
  Tensor classifier;  // (vocab_size, dim); the same view as embedding where shared

  // Every tensor of the file in file order, the shared classifier once.
  std::vector<const Tensor*> tensors() const;
};

}  // namespace llamajit
