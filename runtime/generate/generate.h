// Prompt feed, then the generation loop.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "runtime/draft/speculation.h"
#include "runtime/forward/engine.h"
#include "runtime/generate/sampler.h"
#include "runtime/generate/text_ends.h"
#include "runtime/grammar/constraint.h"

namespace llamajit {

struct GenerationOptions {
  int max_tokens = -1;  // beyond the prompt; < 0: to the context's end
  TextEnds ends{};
  const std::atomic<bool>* cancel = nullptr;  // when set to true, stops after the token at hand
  std::function<bool()> complete{};           // asked after each token was reported; true: that was the text
  Constraint* constraint = nullptr;  // what is generated is held to it, and ends where nothing can follow
  // Of a model whose layers have windows, for which the engine has room twice: the prompt's sequence, from which
  // the next one is taken up where it leaves out what was generated, as chats leave out reasoning.
  std::optional<Sequence>* kept = nullptr;
  // Guesses tokens, of which several are computed at once; the text is the same without it.
  Speculation* drafts = nullptr;
  int prompt_part = 512;  // prompts are fed this many tokens at a time; between them cancel is looked at
};

enum class StopReason { bos, eos, max_tokens, context_end, cancelled, complete, grammar_end };
std::string_view to_string(StopReason reason);

struct Generation {
  StopReason reason = StopReason::max_tokens;
  int prompt_tokens = 0;
  int generated_tokens = 0;
  int fed_tokens = 0;             // of the prompt, what the sequence did not hold already
  double prompt_seconds = 0;      // feeding the prompt, up to the first logits
  double generation_seconds = 0;  // everything after that
};

// Called with each generated token.
using OnToken = std::function<void(TokenId)>;

// Throws std::runtime_error if the prompt does not fit into the engine's context.
void check_fits(std::span<const TokenId> prompt, const Engine& engine);

// Makes the engine's sequence a fork of `kept` where that leaves less to feed for a text that goes on with `prompt`.
void take_up(Engine& engine, const Sequence& kept, std::span<const TokenId> prompt);

// Feeds what the engine's sequence does not hold of `prompt` (one token at least), after it has forgotten what differs,
// and generates until a token is chosen that ends the text (it is not reported), max_tokens are out, the context is
// full, or it is complete or cancelled. Throws what check_fits() and Constraint::mask() throw, and what refuse_logits()
// throws where no token can be chosen.
Generation generate(Engine& engine, Sampler& sampler, std::span<const TokenId> prompt,
                    const GenerationOptions& options, const OnToken& on_token);

}  // namespace llamajit
