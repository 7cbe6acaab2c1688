// What every model reader produces: views into the mapped file, and the numbers that describe the model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "jit/formats/packing.h"
#include "runtime/config.h"
#include "runtime/mapped_file.h"

namespace llamajit {

// A view of a tensor as the file stores it: row-major (rows, cols), a vector has one row. The views are byte
// spans because files give no alignment.
struct Tensor {
  std::string name;  // as messages and `inspect` show it, e.g. "layers.3.wq"
  jit::Format format;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::span<const std::byte> data;  // as jit::SourceMatrix has them
  std::span<const std::byte> scales;

  std::size_t bytes() const { return data.size() + scales.size(); }
};

// As the kernels' packing takes it.
jit::SourceMatrix source(const Tensor& tensor);

struct LayerTensors {
  Tensor att_norm;  // (1, dim)
  Tensor wq;        // (q_dim, dim)
  Tensor wk;        // (kv_dim, dim)
  Tensor wv;        // (kv_dim, dim)
  Tensor wo;        // (dim, q_dim)
  Tensor ffn_norm;  // (1, dim)
  Tensor gate;      // (hidden_dim, dim); llama2.c calls it w1
  Tensor down;      // (dim, hidden_dim); w2
  Tensor up;        // (hidden_dim, dim); w3
};

struct ModelFile {
  std::vector<MappedFile> parts;  // one, or those of a split file; own the bytes that all views point into
  std::string file_format;        // "llama2.c v0 (float32)"
  Config config;
  Tensor embedding;  // (vocab_size, dim)
  std::vector<LayerTensors> layers;
  Tensor final_norm;  // (1, dim)
  Tensor classifier;  // (vocab_size, dim); the same view as embedding where shared

  // The file's; the first part's of a split one.
  const std::string& path() const { return parts.front().path(); }
  // Throws std::runtime_error that names the file if part of it is gone since it was mapped.
  void check_intact() const;
  // Every tensor of the file in file order, the shared classifier once.
  std::vector<const Tensor*> tensors() const;
};

}  // namespace llamajit
