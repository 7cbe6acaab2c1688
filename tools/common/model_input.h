// The subcommands are given a model, and the tokenizer that goes with it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/model/model_file.h"
#include "tokenizer/tokenizer.h"

namespace llamajit::cli {

struct ModelAndTokenizer {
  ModelFile model;
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<std::string> chat_template;  // that a GGUF file has inside
};

// The tokenizer is the tokenizer.bin that is named, else what a GGUF or legacy ggml file has inside, else the
// tokenizer.bin beside the model. Throws std::runtime_error.
ModelAndTokenizer open_model_and_tokenizer(const std::string& model,
                                           const std::optional<std::string>& tokenizer_bin);

// What a model and its tokenizer are read from: no command may replace these.
std::vector<std::string> files_of(const ModelFile& model, const std::optional<std::string>& tokenizer_bin);

// Throws std::runtime_error where the model is an encoder, which predicts no token.
void refuse_encoder(const ModelFile& model);

// The tokenizer.bin beside a model, if there is one.
std::optional<std::string> find_tokenizer_beside(const std::string& model);
// The tokenizer.bin that a model is read with: none where it has one inside. A checkpoint's is the one beside it where no
// other is named; it may have none.
std::optional<std::string> tokenizer_for(const std::string& model,
                                         const std::optional<std::string>& tokenizer_bin);
// Throws std::runtime_error where there is none. Read the model first: what is no model has no tokenizer, either.
std::string tokenizer_beside(const std::string& model);

// The same tokenizer alone, so that GGUF files need no
// weights. Without a model, tokenizer_bin is taken whole.
std::unique_ptr<Tokenizer> open_tokenizer(const std::optional<std::string>& model,
                                          const std::optional<std::string>& tokenizer_bin);

}  // namespace llamajit::cli
