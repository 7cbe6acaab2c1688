// Files of a model's logits over a text, for others to be compared with: little-endian, without gaps
//
//   "LJLOGITS"; u32 version 1, vocabulary's size, windows' context and stride; u64 tokens; u64 predictions;
//   i32 ids of the tokens; f32 (predictions, vocabulary's size) logits
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "runtime/base/mapped_file.h"
#include "runtime/measure/perplexity.h"

namespace llamajit {

// How many predictions predict() makes.
std::int64_t predictions(std::int64_t n_tokens, const Windows& windows);

// Writes the file's bytes to `write`, in order.
class LogitsWriter {
 public:
  using Write = std::function<void(std::span<const std::byte>)>;
  LogitsWriter(Write write, int vocab_size, const Windows& windows, std::span<const TokenId> tokens);
  // In the order of predict().
  void add(std::span<const float> logits);

 private:
  Write write_;
};

class SavedLogits {
 public:
  // The file must be one of this text in these windows. Throws std::runtime_error that names the file, the
  // field, what was expected and what was found.
  SavedLogits(const std::string& path, int vocab_size, const Windows& windows,
              std::span<const TokenId> tokens);

  // Those of the next prediction; predictions() times.
  std::span<const float> next();
  // Throws std::runtime_error if the file was truncated meanwhile.
  void check_intact() const { file_.check_intact(); }

 private:
  MappedFile file_;
  std::span<const std::byte> rest_;
  std::vector<float> row_;
};

}  // namespace llamajit
