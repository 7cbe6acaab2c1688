// What GGUF files do not say of their special tokens, known by the tokens' and the models' names, as llama.cpp
// knows it.
#pragma once

#include <span>
#include <string_view>

#include "tokenizer/vocab.h"

namespace llamajit {

// Adds the tokens that end a text by their names; removes those that end none in this vocabulary.
void find_ends(std::span<const Piece> pieces, SpecialTokens& special);

// What a file tells of the model that a tokenizer belongs to.
struct ModelNames {
  std::string_view tokenizer{};      // tokenizer.ggml.model
  std::string_view pre_tokenizer{};  // tokenizer.ggml.pre
  std::string_view architecture{};   // general.architecture
  std::string_view name{};           // general.name
};

// Marks the special tokens that take the white space beside them.
void find_takers_of_space(std::span<Piece> pieces, const ModelNames& names);

}  // namespace llamajit
