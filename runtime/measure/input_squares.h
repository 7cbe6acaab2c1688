// What a model's matrices are multiplied with over a text: of each column of each matrix, the sum of its inputs'
// squares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/forward/engine.h"

namespace llamajit {

// Of a tensor of the file. One of experts, and one of heads, has as many matrices, and a count for each of them.
struct InputSquares {
  std::string name;  // GGUF's
  std::int64_t cols = 0;
  std::vector<double> sums;          // (matrices, cols)
  std::vector<std::int64_t> counts;  // (matrices)
};

// Inputs are taken as floats, before they are quantised or rounded for the product. The sums are added in f64 in the
// order of the tokens, each by one thread, so that they are the same for every number of threads, and on every tier.
// Tensors whose rows are multiplied in another form than the file has them (deepseek's attn_kv_b) are left out.
class InputCollector {
 public:
  // Both must live as long. With `output`, the classifier's input is among them. The model predicts tokens.
  InputCollector(Engine& engine, const ModelFile& file, bool output);
  ~InputCollector();
  InputCollector(const InputCollector&) = delete;
  InputCollector& operator=(const InputCollector&) = delete;

  // Feeds a text from position 0 on; at most the context's tokens. Throws std::runtime_error where a sum becomes no
  // finite number: it names the model's file, the tensor and the column.
  void feed(std::span<const TokenId> tokens);

  // So far, in the order of layers.
  std::vector<InputSquares> result() const;

 private:
  class Sums;

  Engine& engine_;
  std::string path_;
  std::unique_ptr<Sums> sums_;
};

}  // namespace llamajit
