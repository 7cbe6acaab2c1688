// What sets the engine of a layer that drafts for a model (Config::takes_hidden) apart from a model's.
#pragma once

#include "runtime/forward/engine.h"

namespace llamajit {

// What the layer has from its model; nullptr of a model. Throws std::runtime_error where EngineOptions::model is none
// that it can draft for.
const Weights* weights_of_model(const ModelFile& file, const EngineOptions& options);

inline constexpr const char* kNoHidden =
    "row: expected the model's hidden state beside the token, found none";
// Whether all rows have a hidden state beside their token.
bool bring_hidden(const Batch& batch);

}  // namespace llamajit
