#include "tools/model_input.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "runtime/gguf_model.h"
#include "runtime/gguf_tokenizer.h"
#include "runtime/llama2c.h"
#include "runtime/model_reader.h"
#include "runtime/tokenizer_bin.h"
#include "tokenizer/spm.h"

namespace llamajit::cli {
namespace {

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

std::unique_ptr<Tokenizer> open_tokenizer_bin(const std::string& path, int vocab_size) {
  return std::make_unique<SpmTokenizer>(read_tokenizer_bin(path, vocab_size));
}

}  // namespace

ModelAndTokenizer open_model_and_tokenizer(const std::string& model,
                                           const std::optional<std::string>& tokenizer_bin) {
  ModelAndTokenizer opened;
  if (tokenizer_bin || !is_gguf(model)) {
    const std::string path = tokenizer_bin ? *tokenizer_bin : tokenizer_beside(model);
    opened.model = read_model(model);
    opened.tokenizer = open_tokenizer_bin(path, opened.model.config.vocab_size);
    return opened;
  }
  GgufFile file(model);
  opened.tokenizer = read_gguf_tokenizer(file);
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
  if (is_gguf(*model) && !tokenizer_bin) return read_gguf_tokenizer(GgufFile(*model));
  const std::string path = tokenizer_bin ? *tokenizer_bin : tokenizer_beside(*model);
  return open_tokenizer_bin(path, read_model(*model).config.vocab_size);
}

}  // namespace llamajit::cli
