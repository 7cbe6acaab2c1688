// What an engine is made of, as its model and its options have it.
#pragma once

#include <memory>
#include <span>

#include "runtime/forward/engine.h"

namespace llamajit {

// The numbers of rows that matvec is generated for, to read weights as it does for one; more take matmul.
std::span<const int> matvec_rows(jit::Isa isa);
// How many rows of a step go through the layers together, at most.
int rows_at_once(const Config& config, int context);

jit::ElementType chosen_kv_type(const ModelFile& file, const EngineOptions& options);
// Throws std::runtime_error where the model has not so many positions, or the machine not the memory for them.
int chosen_context(const ModelFile& file, const EngineOptions& options);

// Of several ranks; for a process alone the whole, and nothing.
Split split_of(const EngineOptions& options);
std::unique_ptr<Peers> peers_of(const EngineOptions& options);
std::unique_ptr<Journal> journal_of(const EngineOptions& options);

// Packs the weights, or maps the packed file; `ms` is how long that took.
Weights packed_weights(const ModelFile& file, Team& team, const EngineOptions& options, double& ms);

}  // namespace llamajit
