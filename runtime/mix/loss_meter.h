// How far a model's predictions of a text move when some of its tensors are in another format.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/formats/format.h"
#include "runtime/forward/engine.h"
#include "runtime/measure/perplexity.h"

namespace llamajit {

// A tensor of a GGUF file by its name, and what stands in the place of its data.
struct ReplacedTensor {
  std::string_view name;
  jit::FormatKind kind;
  std::span<const std::byte> data;
};

class LossMeter {
 public:
  // Takes a text of 2 tokens or more through a GGUF file's model and keeps all logits: 4 bytes for each prediction
  // and token of the vocabulary. Keys and values are f32 throughout, so that nothing but tensors differs.
  LossMeter(std::string path, std::vector<TokenId> tokens, const Windows& windows, EngineOptions options);

  std::int64_t predictions() const;
  // The mean KL divergence of the same model's predictions with these tensors from those it has without.
  double divergence_with(std::span<const ReplacedTensor> replaced) const;
  // That of another file's, which is the model in other formats.
  double divergence_of(const std::string& path) const;

 private:
  double divergence_of(const ModelFile& model) const;

  std::string path_;
  std::vector<TokenId> tokens_;
  Windows windows_;
  EngineOptions options_;
  std::vector<float> logits_;
  std::size_t vocab_size_ = 0;
};

}  // namespace llamajit
