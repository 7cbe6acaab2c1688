// Logarithms of probabilities as /v1/chat/completions and Ollama's API tell of them.
#pragma once

#include <span>

#include "tools/serve/answer.h"

namespace llamajit::serve {

// A list with an element for each token: {token, logprob, bytes, top_logprobs: [{token, logprob, bytes}, …]}.
Json logprobs_json(std::span<const TokenLogprob> tokens);

}  // namespace llamajit::serve
