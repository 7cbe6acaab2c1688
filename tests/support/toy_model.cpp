#include "tests/support/toy_model.h"

#include <cstring>
#include <fstream>
#include <stdexcept>

#include <unistd.h>

namespace llamajit::test {
namespace {

std::vector<float> floats(const Tensor& tensor) {
  std::vector<float> values(tensor.data.size() / sizeof(float));
  std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

}  // namespace

Config toy_config(int dim, int hidden_dim, int n_layers, int n_heads, int n_kv_heads, int vocab_size,
                  int seq_len, bool shared_classifier) {
  Config config;
  config.dim = dim;
  config.hidden_dim = hidden_dim;
  config.n_layers = n_layers;
  config.n_heads = n_heads;
  config.n_kv_heads = n_kv_heads;
  config.vocab_size = vocab_size;
  config.seq_len = seq_len;
  config.shared_classifier = shared_classifier;
  return config;
}

std::string tokenizer_file(const std::vector<std::string>& pieces) {
  std::string out(4, '\1');
  for (const std::string& piece : pieces) {
    const float score = 0;
    const auto length = static_cast<std::uint32_t>(piece.size());
    out.append(reinterpret_cast<const char*>(&score), 4);
    out.append(reinterpret_cast<const char*>(&length), 4);
    out += piece;
  }
  return out;
}

std::vector<std::string> alphabet() {
  std::vector<std::string> pieces{"<unk>", "<s>", "</s>", " "};
  for (char c = 'a'; c <= 'z'; ++c) pieces.emplace_back(1, c);
  return pieces;
}

std::vector<std::int32_t> alphabet_chain() {
  std::vector<std::int32_t> next;
  for (int t = 0; t < kAlphabetSize; ++t) next.push_back(t + 1);
  next[1] = 4;
  next[2] = 0;
  next[kAlphabetSize - 1] = 2;
  return next;
}

CheckpointWeights chain_model(const std::vector<std::int32_t>& next, int seq_len) {
  const int vocab = static_cast<int>(next.size());
  const int dim = vocab + vocab % 2;
  CheckpointWeights w = random_weights(toy_config(dim, 8, 1, 1, 1, vocab, seq_len, false), 1);
  const auto at = [&](int row, int col) { return static_cast<std::size_t>(row * dim + col); };
  w.embedding.assign(w.embedding.size(), 0.0F);
  w.classifier.assign(w.classifier.size(), 0.0F);
  for (int t = 0; t < vocab; ++t) {
    w.embedding[at(t, t)] = 1.0F;
    w.classifier[at(next[static_cast<std::size_t>(t)], t)] = 1.0F;
  }
  for (auto& layer : w.layers) {
    layer.wo.assign(layer.wo.size(), 0.0F);
    layer.down.assign(layer.down.size(), 0.0F);
  }
  return w;
}

TempDirectory::TempDirectory() {
  path_ = (std::filesystem::temp_directory_path() / "llamajit-XXXXXX").string();
  if (mkdtemp(path_.data()) == nullptr) throw std::runtime_error("cannot create " + path_);
}

TempDirectory::~TempDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDirectory::write(const std::string& name, std::string_view content) const {
  std::string path = path_ + "/" + name;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
  return path;
}

CheckpointWeights weights_of(const ModelFile& file) {
  CheckpointWeights w;
  w.config = file.config;
  w.embedding = floats(file.embedding);
  for (const LayerTensors& from : file.layers) {
    w.layers.push_back({floats(from.att_norm), floats(from.wq), floats(from.wk), floats(from.wv),
                        floats(from.wo), floats(from.ffn_norm), floats(from.gate), floats(from.down),
                        floats(from.up)});
  }
  w.final_norm = floats(file.final_norm);
  if (!file.config.shared_classifier) w.classifier = floats(file.classifier);
  return w;
}

}  // namespace llamajit::test
