#include "runtime/forward/drafting_layer.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

namespace llamajit {

const Weights* weights_of_model(const ModelFile& file, const EngineOptions& options) {
  if (!file.config.takes_hidden) return nullptr;
  if (options.model == nullptr || options.model->peers() != nullptr || options.ranks != nullptr) {
    throw std::runtime_error(
        fmt::format("{}: layer that drafts: expected its model's engine beside it, without ranks, found {}",
                    file.path(), options.model == nullptr ? "none" : "ranks"));
  }
  const Config& model = options.model->config();
  if (file.config.dim == model.dim && file.config.vocab_size == model.vocab_size) {
    return &options.model->weights();
  }
  throw std::runtime_error(
      fmt::format("{}: layer that drafts: expected a model of {} values and {} tokens, found {} and {}",
                  file.path(), file.config.dim, file.config.vocab_size, model.dim, model.vocab_size));
}

bool bring_hidden(const Batch& batch) {
  return std::ranges::all_of(batch.rows(), [](const Batch::Row& row) { return row.hidden != nullptr; });
}

}  // namespace llamajit
