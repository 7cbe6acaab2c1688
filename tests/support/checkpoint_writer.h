// Writes llama2.c checkpoints of any shape, so that tests need no real models.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/model/model_file.h"

namespace llamajit::test {

// A model's float32 weights, all row-major; the shapes are those of runtime/model_file.h.
struct CheckpointWeights {
  struct Layer {
    std::vector<float> att_norm, wq, wk, wv, wo, ffn_norm, gate, down, up;
  };
  Config config;
  std::vector<float> embedding;
  std::vector<Layer> layers;
  std::vector<float> final_norm;
  std::vector<float> classifier;  // empty where shared
};

// Seeded weights, the same on every machine: norms near 1, matrices scaled so that activations stay near 1.
CheckpointWeights random_weights(const Config& config, std::uint64_t seed);

// int8 codes with a scale for each `group` consecutive weights: scale = max|w| / 127, codes rounded to
// nearest even, as export.py does. A group of zeros has scale 0 and codes 0.
struct Quantized {
  std::vector<std::int8_t> codes;
  std::vector<float> scales;
};
Quantized quantize_q8_0(std::span<const float> weights, int group);

// The content of a checkpoint file. v2's group may be any that divides every tensor's size, so also one that
// runs over the ends of rows.
std::string write_v0(const CheckpointWeights& weights);
std::string write_v1(const CheckpointWeights& weights);
std::string write_v2(const CheckpointWeights& weights, int group);

}  // namespace llamajit::test
