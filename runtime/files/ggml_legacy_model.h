// A model and its vocabulary out of a legacy ggml file.
#pragma once

#include "runtime/files/ggml_legacy.h"
#include "runtime/model/model_file.h"
#include "tokenizer/vocab.h"

namespace llamajit {

// Takes over the mapped files. Tensors that are split over parts are joined, and rows of Q4_1 taken into
// blocks, in memory; all others are views. Throws std::runtime_error that names the file, the tensor, what
// was expected and what was found.
ModelFile read_ggml_legacy_model(GgmlLegacyFile file);

// For GreedyTokenizer. The file has no scores; those of the pieces are what SentencePiece gave LLaMA's by
// their ids, for a tokenizer that merges by scores.
Vocab read_ggml_legacy_vocab(const GgmlLegacyFile& file);

}  // namespace llamajit
