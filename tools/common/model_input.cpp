#include "tools/common/model_input.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
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

std::unique_ptr<Tokenizer> open_tokenizer_bin(const std::string& path, int vocab_size) {
  return std::make_unique<SpmTokenizer>(read_tokenizer_bin(path, vocab_size));
}

}  // namespace

std::string tokenizer_beside(const std::string& model) {
  if (!std::filesystem::exists(model)) {
    throw std::runtime_error(fmt::format("{}: {}", model, std::strerror(ENOENT)));
  }
  const auto beside = std::filesystem::path(model).parent_path() / "tokenizer.bin";
  if (!std::filesystem::exists(beside)) {
    throw std::runtime_error(
        fmt::format("{}: expected the model's tokenizer there; name another with -z", beside.string()));
  }
  return beside.string();
}

ModelAndTokenizer open_model_and_tokenizer(const std::string& model,
                                           const std::optional<std::string>& tokenizer_bin) {
  ModelAndTokenizer opened;
  if (tokenizer_bin || !has_tokenizer(model)) {
    const std::string path = tokenizer_bin ? *tokenizer_bin : tokenizer_beside(model);
    opened.model = read_model(model);
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
  const std::string path = tokenizer_bin ? *tokenizer_bin : tokenizer_beside(*model);
  return open_tokenizer_bin(path, read_model(*model).config.vocab_size);
}

}  // namespace llamajit::cli
