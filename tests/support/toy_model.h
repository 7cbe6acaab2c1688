// Small models with a purpose: shapes that catch kernels out, and one that can say the alphabet.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/model/model_file.h"
#include "tests/support/checkpoint_writer.h"

namespace llamajit::test {

Config toy_config(int dim, int hidden_dim, int n_layers, int n_heads, int n_kv_heads, int vocab_size,
                  int seq_len, bool shared_classifier);

// A tokenizer.bin of these pieces, in order; all scores 0.
std::string tokenizer_file(const std::vector<std::string>& pieces);

// The alphabet's vocabulary: unknown, begin, end, then " ", "a".."z".
inline constexpr int kAlphabetSize = 30;
std::vector<std::string> alphabet();

// A model whose most likely token after `t` is `next[t]`, whatever came before: embeddings that point in as
// many directions as there are tokens, layers that add nothing, and a classifier that is a permutation.
CheckpointWeights chain_model(const std::vector<std::int32_t>& next, int seq_len);
// After begin comes "a", after " " too, after each letter the next one, after "z" the end of the text.
std::vector<std::int32_t> alphabet_chain();

// A directory that goes away with its owner.
class TempDirectory {
 public:
  TempDirectory();
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory();

  const std::string& path() const { return path_; }
  // Writes a file there; returns its path.
  std::string write(const std::string& name, std::string_view content) const;

 private:
  std::string path_;
};

// The weights of a float32 checkpoint that was read, to be written again in another version.
CheckpointWeights weights_of(const ModelFile& file);

}  // namespace llamajit::test
