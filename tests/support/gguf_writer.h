// Writes GGUF files of any content, right or wrong, so that tests need no real models.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/files/gguf.h"
#include "tests/support/checkpoint_writer.h"

namespace llamajit::test {

// The bytes of a number, little-endian.
template <class T>
std::string bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
// The bytes of a GGUF string: its length, then its text.
std::string gguf_string(std::string_view text);

class GgufWriter {
 public:
  std::uint32_t version = 3;
  std::uint32_t alignment = 32;  // written as general.alignment where it is another

  // A value of the type given, as its bytes are in the file.
  void add(std::string_view key, GgufType type, const std::string& bytes);
  void add(std::string_view key, std::string_view text) { add(key, GgufType::string, gguf_string(text)); }
  void add(std::string_view key, const char* text) { add(key, std::string_view(text)); }
  void add(std::string_view key, std::uint32_t value) { add(key, GgufType::u32, bytes_of(value)); }
  void add(std::string_view key, int value) { add(key, static_cast<std::uint32_t>(value)); }
  void add(std::string_view key, float value) { add(key, GgufType::f32, bytes_of(value)); }
  void add(std::string_view key, bool value) { add(key, GgufType::boolean, bytes_of(value)); }
  void add(std::string_view key, const std::vector<std::string>& texts);
  void add(std::string_view key, const std::vector<float>& values);
  void add(std::string_view key, const std::vector<std::int32_t>& values);
  void remove(std::string_view key);

  // Dimensions with the innermost first; the type by its number.
  void add_tensor(std::string_view name, std::vector<std::uint64_t> dims, std::uint32_t type,
                  std::string data);
  void remove_tensor(std::string_view name);

  std::string content() const;

 private:
  struct Entry {
    std::string key;
    std::string bytes;  // type and value
  };
  struct TensorData {
    std::string name;
    std::vector<std::uint64_t> dims;
    std::uint32_t type;
    std::string data;
  };
  std::vector<Entry> entries_;
  std::vector<TensorData> tensors_;
};

inline constexpr std::uint32_t kF32 = 0;
inline constexpr std::uint32_t kF16 = 1;
inline constexpr std::uint32_t kQ8_0 = 8;
inline constexpr std::uint32_t kBf16 = 30;

// The matrix in a tensor type: F32, F16 and BF16 (cut off after 16 bits), Q8_0 (blocks of 32).
std::string encode_tensor(const std::vector<float>& weights, std::uint32_t type);

// A model of the llama family, its matrices in the type given, its norms in F32. It has no tokenizer.
GgufWriter llama_gguf(const CheckpointWeights& weights, std::uint32_t type);

// Adds a tokenizer of the kind `llama`: these pieces, with
// scores that get lower, the first three unknown, BOS and EOS.
void add_llama_tokenizer(GgufWriter& writer, const std::vector<std::string>& pieces);

}  // namespace llamajit::test
