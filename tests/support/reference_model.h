// A model's forward pass in plain mathematics, in double, straight from the file's tensors: what kernels,
// packing and plans are held against. Slow, and without any of their tricks.
#pragma once

#include <vector>

#include "runtime/model/model_file.h"
#include "tokenizer/vocab.h"

namespace llamajit::test {

// The logits of each token: (tokens, vocab_size).
std::vector<std::vector<double>> reference_logits(const ModelFile& file, const std::vector<TokenId>& tokens);

// The same of a layer that drafts for the model, of each token but the first: out of the model's hidden state behind the
// token before it. Where `own` tokens are left at the end, the layer takes its own hidden states for them.
std::vector<std::vector<double>> reference_draft_logits(const ModelFile& layer, const ModelFile& model,
                                                        const std::vector<TokenId>& tokens, std::size_t own);

// The residual stream of each behind the final norm, if there is one: (tokens, dim). An encoder's tokens see their whole
// text.
std::vector<std::vector<double>> reference_hidden(const ModelFile& file, const std::vector<TokenId>& tokens);

}  // namespace llamajit::test
