#include "runtime/mix/loss_meter.h"

#include <utility>

#include "runtime/files/ggml_type.h"
#include "runtime/files/gguf_model.h"

namespace llamajit {

LossMeter::LossMeter(std::string path, std::vector<TokenId> tokens, const Windows& windows,
                     EngineOptions options)
    : path_(std::move(path)), tokens_(std::move(tokens)), windows_(windows), options_(std::move(options)) {
  options_.precision.kv_type = jit::ElementType::f32;
  Engine engine(read_gguf_model(GgufFile(path_)), options_);
  predict(engine, tokens_, windows_, [&](TokenId, std::span<const float> logits) {
    vocab_size_ = logits.size();
    logits_.insert(logits_.end(), logits.begin(), logits.end());
  });
}

std::int64_t LossMeter::predictions() const {
  return static_cast<std::int64_t>(logits_.size() / vocab_size_);
}

double LossMeter::divergence_with(std::span<const ReplacedTensor> replaced) const {
  GgufFile file(path_);
  for (const ReplacedTensor& tensor : replaced) {
    file.replace(tensor.name, *find_ggml_type(ggml_name(tensor.kind)), tensor.data);
  }
  return divergence_of(read_gguf_model(std::move(file)));
}

double LossMeter::divergence_of(const std::string& path) const {
  return divergence_of(read_gguf_model(GgufFile(path)));
}

double LossMeter::divergence_of(const ModelFile& model) const {
  Engine engine(model, options_);
  Mean mean;
  predict(engine, tokens_, windows_, [&](TokenId, std::span<const float> logits) {
    const auto first = static_cast<std::size_t>(mean.count()) * vocab_size_;
    mean.add(divergence(std::span(logits_).subspan(first, vocab_size_), logits));
  });
  return mean.value();
}

}  // namespace llamajit
