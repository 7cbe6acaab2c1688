// The kernels of a prompt chunk, of each layer and of what comes before and behind them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <vector>

#include "jit/code/code_cache.h"
#include "runtime/base/deal.h"
#include "runtime/forward/kv_cache.h"
#include "runtime/forward/weights.h"

namespace llamajit {

// How an input is quantised or rounded.
struct Preparation {
  Preparation(const jit::InputFormat& input, int n, jit::CodeCache& code)
      : format(input),
        kernel(input.pairs ? code.get(jit::RoundKey{n})
                           : code.get(jit::QuantizeKey{n, input.group, input.subgroup, input.zero})) {}

  jit::InputFormat format;
  jit::Kernel<jit::QuantizeArgs> kernel;
};

// What becomes of a vector that some matrices are multiplied with: it is quantised or rounded once for each
// way in which they want it.
struct InputKernels {
  InputKernels(std::initializer_list<const PackedMatrix*> matrices, jit::CodeCache& code)
      : n((*matrices.begin())->cols) {
    for (const PackedMatrix* matrix : matrices) {
      const std::optional<jit::InputFormat> format = input_format(matrix->format);
      if (format && index(format) == preparations.size()) preparations.emplace_back(*format, n, code);
    }
  }
  // Among the preparations; their number if there is none.
  std::size_t index(const std::optional<jit::InputFormat>& format) const {
    const auto found = std::ranges::find(preparations, format, &Preparation::format);
    return static_cast<std::size_t>(found - preparations.begin());
  }

  int n;
  std::vector<Preparation> preparations;
};

// A matrix, and what multiplies it.
struct MatrixKernel {
  MatrixKernel(const PackedMatrix& packed, const InputKernels& inputs, jit::Epilogue epilogue,
               jit::CodeCache& code, int threads)
      : matrix(&packed),
        input(inputs.index(input_format(packed.format))),
        key{packed.format, packed.rows, packed.cols, epilogue, packed.affine()},
        multiply(code.get(key)),
        deal(std::make_unique<Deal>(packed.units(), threads > 1 ? kPortion : packed.units(), threads)) {}

  // Units that are taken at once: a smaller portion would waste registers, a larger one take longer than need
  // be.
  static constexpr std::int64_t kPortion = 3;

  const PackedMatrix* matrix;
  std::size_t input;  // the preparation
  jit::MatmulKey key;
  jit::Kernel<jit::MatmulArgs> multiply;
  std::unique_ptr<Deal> deal;
};

struct LayerKernels {
  LayerKernels(const Config& config, const LayerWeights& w, jit::CodeCache& code, int threads)
      : qkv_input({&w.wq, &w.wk, &w.wv}, code),
        wo_input({&w.wo}, code),
        gate_up_input({&w.gate_up}, code),
        down_input({&w.down}, code),
        wq(w.wq, qkv_input, jit::Epilogue::store, code, threads),
        wk(w.wk, qkv_input, jit::Epilogue::store, code, threads),
        wv(w.wv, qkv_input, jit::Epilogue::store, code, threads),
        wo(w.wo, wo_input, jit::Epilogue::add, code, threads),
        gate_up(w.gate_up, gate_up_input, config.activation, code, threads),
        down(w.down, down_input, jit::Epilogue::add, code, threads) {}

  InputKernels qkv_input, wo_input, gate_up_input, down_input;
  MatrixKernel wq, wk, wv, wo, gate_up, down;
};

struct PrefillKernels {
  PrefillKernels(const Config& c, const Weights& w, const KvCache& cache, jit::CodeCache& code, int threads)
      : embed(code.get(jit::EmbedKey{w.embedding.format, c.dim})),
        norm(code.get(jit::NormKey{c.dim, c.norm_eps, c.norm})),
        rope(code.get(jit::RopeKey{c.head_dim()})),
        append(code.get(cache.append_key())),
        attention(code.get(cache.attention_key())),
        tile(code.get(cache.tile_key(jit::row_stride(c.q_dim())))),
        tile_tokens(cache.tile_key(0).tokens),
        classifier_input({&w.classifier}, code),
        classifier(w.classifier, classifier_input, jit::Epilogue::store, code, threads) {
    layers.reserve(w.layers.size());
    for (const LayerWeights& layer : w.layers) layers.emplace_back(c, layer, code, threads);
    const auto some = [&](auto member) {
      return std::ranges::any_of(w.layers, [&](const LayerWeights& l) { return l.*member != nullptr; });
    };
    if (some(&LayerWeights::q_norm) || some(&LayerWeights::k_norm)) {
      head_norm = code.get(jit::NormKey{c.head_dim(), c.norm_eps});
    }
    if (some(&LayerWeights::att_sub_norm)) att_sub_norm = code.get(jit::NormKey{c.q_dim(), c.norm_eps});
    if (some(&LayerWeights::ffn_sub_norm)) ffn_sub_norm = code.get(jit::NormKey{c.hidden_dim, c.norm_eps});
  }

  jit::Kernel<jit::EmbedArgs> embed;
  jit::Kernel<jit::NormArgs> norm;
  jit::Kernel<jit::RopeArgs> rope;
  jit::Kernel<jit::KvAppendArgs> append;
  jit::Kernel<jit::AttentionArgs> attention;  // of a token
  jit::Kernel<jit::AttentionArgs> tile;       // of tile_tokens
  int tile_tokens;
  jit::Kernel<jit::NormArgs> head_norm, att_sub_norm, ffn_sub_norm;  // where a layer has weights for them
  std::vector<LayerKernels> layers;
  InputKernels classifier_input;
  MatrixKernel classifier;

  std::vector<const InputKernels*> inputs() const {
    std::vector<const InputKernels*> all = {&classifier_input};
    for (const LayerKernels& l : layers) {
      all.insert(all.end(), {&l.qkv_input, &l.wo_input, &l.gate_up_input, &l.down_input});
    }
    return all;
  }
  std::vector<const MatrixKernel*> matrices() const {
    std::vector<const MatrixKernel*> all = {&classifier};
    for (const LayerKernels& l : layers) {
      all.insert(all.end(), {&l.wq, &l.wk, &l.wv, &l.wo, &l.gate_up, &l.down});
    }
    return all;
  }
};

}  // namespace llamajit
