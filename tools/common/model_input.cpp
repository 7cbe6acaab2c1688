#include "tools/common/model_input.h"

#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "runtime/files/ggml_legacy_model.h"
#include "runtime/files/gguf_model.h"
#include "runtime/files/gguf_tokenizer.h"
#include "runtime/files/model_reader.h"
#include "runtime/files/tokenizer_bin.h"
#include "tokenizer/greedy.h"
#include "tokenizer/spm.h"

namespace llamajit::cli {
namespace {

bool has_tokenizer(const std::string& model) {
  return is_gguf(model) || is_ggml_legacy(model);
}

std::unique_ptr<Tokenizer> read_greedy_tokenizer(const GgmlLegacyFile& file) {
  return std::make_unique<GreedyTokenizer>(read_ggml_legacy_vocab(file));
}

std::string path_beside(const std::string& model) {
  return (std::filesystem::path(model).parent_path() / "tokenizer.bin").string();
}

std::unique_ptr<Tokenizer> open_tokenizer_bin(const std::string& path, int vocab_size) {
  return std::make_unique<SpmTokenizer>(read_tokenizer_bin(path, vocab_size));
}

}  // namespace

std::optional<std::string> find_tokenizer_beside(const std::string& model) {
  auto beside = path_beside(model);
  std::error_code error;
  return std::filesystem::exists(beside, error) ? std::optional(std::move(beside)) : std::nullopt;
}

std::optional<std::string> tokenizer_for(const std::string& model,
                                         const std::optional<std::string>& tokenizer_bin) {
  return tokenizer_bin || has_tokenizer(model) ? tokenizer_bin : find_tokenizer_beside(model);
}

std::string tokenizer_beside(const std::string& model) {
  if (auto beside = find_tokenizer_beside(model)) return *beside;
  throw std::runtime_error(
      fmt::format("{}: expected the model's tokenizer there; name another with -z", path_beside(model)));
}

std::vector<std::string> files_of(const ModelFile& model, const std::optional<std::string>& tokenizer_bin) {
  std::vector<std::string> paths;
  for (const MappedFile& part : model.parts) paths.push_back(part.path());
  if (const auto tokenizer = tokenizer_for(model.path(), tokenizer_bin)) paths.push_back(*tokenizer);
  return paths;
}

void refuse_encoder(const ModelFile& model) {
  if (model.config.causal) return;
  throw std::runtime_error(fmt::format(
      "{}: expected a model that writes text, found an encoder, which makes embeddings alone; llamajit "
      "embed takes it, and /v1/embeddings of llamajit serve",
      model.path()));
}

ModelAndTokenizer open_model_and_tokenizer(const std::string& model,
                                           const std::optional<std::string>& tokenizer_bin) {
  ModelAndTokenizer opened;
  if (tokenizer_bin || !has_tokenizer(model)) {
    opened.model = read_model(model);  // first: what is no model has no tokenizer, either
    const std::string path = tokenizer_bin ? *tokenizer_bin : tokenizer_beside(model);
    opened.tokenizer = open_tokenizer_bin(path, opened.model.config.vocab_size);
    return opened;
  }
  if (is_ggml_legacy(model)) {
    GgmlLegacyFile file(model);
    opened.tokenizer = read_greedy_tokenizer(file);
    opened.model = read_ggml_legacy_model(std::move(file));
    return opened;
  }
  GgufFile file(model);
  opened.tokenizer = read_gguf_tokenizer(file);
  if (const auto source = file.string("tokenizer.chat_template")) opened.chat_template = std::string(*source);
  opened.model = read_gguf_model(std::move(file));
  // An id beyond the embedding's rows would be read from nowhere.
  if (opened.tokenizer->vocab().size() != opened.model.config.vocab_size) {
    throw std::runtime_error(
        fmt::format("{}: tokenizer.ggml.tokens: expected {} (the rows of token_embd.weight), found {}", model,
                    opened.model.config.vocab_size, opened.tokenizer->vocab().size()));
  }
  return opened;
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::optional<std::string>& model,
                                          const std::optional<std::string>& tokenizer_bin) {
  if (!model) return open_tokenizer_bin(*tokenizer_bin, -1);
  if (!tokenizer_bin && is_gguf(*model)) return read_gguf_tokenizer(GgufFile(*model));
  if (!tokenizer_bin && is_ggml_legacy(*model)) return read_greedy_tokenizer(GgmlLegacyFile(*model));
  const int vocab_size = read_model(*model).config.vocab_size;
  return open_tokenizer_bin(tokenizer_bin ? *tokenizer_bin : tokenizer_beside(*model), vocab_size);
}

}  // namespace llamajit::cli
