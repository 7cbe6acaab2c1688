// Where the states of layers that keep no keys and values lie within a sequence's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "jit/kernels/conv.h"
#include "jit/kernels/delta.h"
#include "runtime/model/config.h"

namespace llamajit {

jit::ConvKey conv_key(const DeltaNet& delta);
jit::DeltaKey delta_key(const DeltaNet& delta);

// A delta net's: the last inputs of its convolution, then each value head's matrix.
class LayerStates {
 public:
  explicit LayerStates(const Config& config);

  std::int64_t bytes() const { return bytes_; }  // of a sequence's; 0: no layer keeps one
  // From a sequence's first byte on.
  std::int64_t conv_at(std::size_t layer) const { return layers_[layer].conv_at; }
  std::int64_t head_at(std::size_t layer, std::int64_t value_head) const {
    return layers_[layer].heads_at + value_head * layers_[layer].head_bytes;
  }

 private:
  struct Layer {
    std::int64_t conv_at, heads_at, head_bytes;
  };
  std::vector<Layer> layers_;
  std::int64_t bytes_ = 0;
};

}  // namespace llamajit
