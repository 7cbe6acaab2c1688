#include "runtime/files/llama2c.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "tests/support/checkpoint_writer.h"
#include "tests/support/temp_file.h"
#include "tests/support/test_data.h"

namespace llamajit::llama2c_test {
namespace {

using test::CheckpointWeights;
using test::TempFile;
using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr int kGroup = 8;

// Two layers, four query heads over two key heads, and no two dimensions alike.
Config small_config(bool shared) {
  Config config;
  config.dim = 32;
  config.hidden_dim = 48;
  config.n_layers = 2;
  config.n_heads = 4;
  config.n_kv_heads = 2;
  config.vocab_size = 20;
  config.seq_len = 12;
  config.shared_classifier = shared;
  return config;
}

// A file's content as version 0, 1 or 2.
std::string write(const CheckpointWeights& weights, int version) {
  if (version == 0) return write_v0(weights);
  return version == 1 ? write_v1(weights) : write_v2(weights, kGroup);
}

std::string small_file(int version, bool shared = true) {
  return write(test::random_weights(small_config(shared), 7), version);
}

std::string error_of(const std::string& content) {
  const TempFile temp(content);
  try {
    read_llama2c(temp.path());
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr(temp.path())) << "every message names the file";
    return error.what();
  }
  return "no error";
}

template <class T>
std::vector<T> values(std::span<const std::byte> bytes) {
  std::vector<T> result(bytes.size() / sizeof(T));
  std::memcpy(result.data(), bytes.data(), bytes.size());
  return result;
}

void expect_tensor(const Tensor& tensor, const std::vector<float>& weights, const std::string& name, int rows,
                   int cols) {
  SCOPED_TRACE(name);
  EXPECT_EQ(tensor.name, name);
  EXPECT_EQ(tensor.rows, rows);
  EXPECT_EQ(tensor.cols, cols);
  ASSERT_EQ(tensor.rows * tensor.cols, static_cast<std::int64_t>(weights.size()));
  if (tensor.format.kind == jit::FormatKind::f32) {
    EXPECT_EQ(values<float>(tensor.data), weights);
    EXPECT_TRUE(tensor.scales.empty());
  } else {
    const test::Quantized quantized = test::quantize_q8_0(weights, tensor.format.group);
    EXPECT_EQ(values<std::int8_t>(tensor.data), quantized.codes);
    EXPECT_EQ(values<float>(tensor.scales), quantized.scales);
  }
}

void expect_layers(const ModelFile& model, const CheckpointWeights& w) {
  const Config& c = w.config;
  ASSERT_EQ(model.layers.size(), w.layers.size());
  for (std::size_t i = 0; i < w.layers.size(); ++i) {
    const LayerTensors& layer = model.layers[i];
    const auto name = [&](const char* part) { return fmt::format("layers.{}.{}", i, part); };
    expect_tensor(layer.att_norm, w.layers[i].att_norm, name("att_norm"), 1, c.dim);
    expect_tensor(layer.wq, w.layers[i].wq, name("wq"), c.dim, c.dim);
    expect_tensor(layer.wk, w.layers[i].wk, name("wk"), c.kv_dim(), c.dim);
    expect_tensor(layer.wv, w.layers[i].wv, name("wv"), c.kv_dim(), c.dim);
    expect_tensor(layer.wo, w.layers[i].wo, name("wo"), c.dim, c.dim);
    expect_tensor(layer.ffn_norm, w.layers[i].ffn_norm, name("ffn_norm"), 1, c.dim);
    expect_tensor(layer.gate, w.layers[i].gate, name("gate"), c.hidden_dim, c.dim);
    expect_tensor(layer.down, w.layers[i].down, name("down"), c.dim, c.hidden_dim);
    expect_tensor(layer.up, w.layers[i].up, name("up"), c.hidden_dim, c.dim);
    EXPECT_EQ(layer.att_norm.format.kind, jit::FormatKind::f32);
  }
}

TEST(Llama2c, ReadsBackEveryValueOfEveryVersion) {
  for (const int version : {0, 1, 2}) {
    for (const bool shared : {true, false}) {
      SCOPED_TRACE(fmt::format("v{} shared {}", version, shared));
      const CheckpointWeights w = test::random_weights(small_config(shared), 7);
      const TempFile temp(write(w, version));
      const ModelFile model = read_llama2c(temp.path());
      EXPECT_THAT(model.file_format, HasSubstr(fmt::format("llama2.c v{}", version)));
      EXPECT_EQ(model.config.dim, 32);
      EXPECT_EQ(model.config.hidden_dim, 48);
      EXPECT_EQ(model.config.n_layers, 2);
      EXPECT_EQ(model.config.n_heads, 4);
      EXPECT_EQ(model.config.n_kv_heads, 2);
      EXPECT_EQ(model.config.vocab_size, 20);
      EXPECT_EQ(model.config.seq_len, 12);
      EXPECT_EQ(model.config.shared_classifier, shared);
      const jit::Format expected =
          version == 2 ? jit::Format{jit::FormatKind::int8, kGroup} : jit::Format{jit::FormatKind::f32, 0};
      EXPECT_EQ(model.embedding.format, expected);
      expect_tensor(model.embedding, w.embedding, "embedding", 20, 32);
      expect_layers(model, w);
      expect_tensor(model.final_norm, w.final_norm, "final_norm", 1, 32);
      if (shared) {
        EXPECT_EQ(model.classifier.data.data(), model.embedding.data.data());
      } else {
        expect_tensor(model.classifier, w.classifier, "classifier", 20, 32);
      }
    }
  }
}

TEST(Llama2c, ListsTensorsInFileOrder) {
  for (const bool shared : {true, false}) {
    for (const int version : {0, 1, 2}) {
      const TempFile temp(small_file(version, shared));
      const ModelFile model = read_llama2c(temp.path());
      const auto all = model.tensors();
      EXPECT_EQ(all.size(), 2U * 9 + 2 + (shared ? 0 : 1));
      EXPECT_EQ(all.front()->name, version == 0 ? "embedding" : "layers.0.att_norm");
      EXPECT_EQ(all.back()->name, shared ? (version == 0 ? "final_norm" : "layers.1.up") : "classifier");
    }
  }
}

TEST(Llama2c, ReadsTheRealModel) {
  const std::string path = test::test_data("stories260K.bin");
  LLAMAJIT_REQUIRE_FILE(path);
  const ModelFile model = read_llama2c(path);
  EXPECT_EQ(model.file_format, "llama2.c v0 (float32)");
  EXPECT_EQ(model.config.dim, 64);
  EXPECT_EQ(model.config.hidden_dim, 172);
  EXPECT_EQ(model.config.n_kv_heads, 4);
  EXPECT_TRUE(model.config.shared_classifier);
}

struct Field {
  const char* name;
  std::size_t offset;  // bytes from the file's start
};

std::vector<Field> count_fields(int version) {
  std::vector<Field> fields;
  std::size_t offset = version == 0 ? 0 : 8;
  for (const char* name :
       {"dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len"}) {
    fields.push_back({name, offset});
    offset += 4;
  }
  if (version == 2) fields.push_back({"group_size", 37});
  return fields;
}

std::string with_i32(std::string content, std::size_t offset, std::int32_t value) {
  return content.replace(offset, 4, reinterpret_cast<const char*>(&value), 4);
}

TEST(Llama2c, NamesTheAbsurdField) {
  constexpr std::int32_t lowest = std::numeric_limits<std::int32_t>::min();
  constexpr std::int32_t highest = std::numeric_limits<std::int32_t>::max();
  for (const int version : {0, 1, 2}) {
    const std::string content = small_file(version);
    for (const Field& field : count_fields(version)) {
      for (const std::int32_t value :
           {0, -1, -2, lowest, lowest + 1, highest, highest - 1, (1 << 24) + 1, 1 << 30, -(1 << 24) - 1}) {
        const bool unshared_v0 =
            version == 0 && std::string(field.name) == "vocab_size" && (value == -1 || value == -2);
        const std::string error = error_of(with_i32(content, field.offset, value));
        EXPECT_THAT(error,
                    HasSubstr(unshared_v0 ? "expected" : fmt::format("header.{}: expected", field.name)))
            << "v" << version << " " << value;
      }
    }
  }
  EXPECT_THAT(error_of(with_i32(small_file(1), 8, -3)),
              EndsWith(": header.dim: expected a positive count up to 1048576, found -3"));
}

TEST(Llama2c, ChecksWhatFieldsMustHaveInCommon) {
  const std::string v0 = small_file(0), v1 = small_file(1), v2 = small_file(2);
  EXPECT_THAT(error_of(with_i32(v0, 12, 5)),
              EndsWith("header.n_heads: expected a divisor of dim 32, found 5"));
  EXPECT_THAT(error_of(with_i32(v1, 20, 32)), HasSubstr("header.n_heads: expected heads of an even size"));
  EXPECT_THAT(error_of(with_i32(v1, 24, 3)),
              EndsWith("header.n_kv_heads: expected a divisor of n_heads 4, found 3"));
  EXPECT_THAT(error_of(with_i32(v1, 24, 8)), HasSubstr("header.n_kv_heads: expected a divisor"));
  EXPECT_THAT(error_of(with_i32(v1, 4, 3)), HasSubstr("version: expected 1 or 2"));
  EXPECT_THAT(error_of(with_i32(v1, 4, 0)), HasSubstr("version: expected 1 or 2"));
  std::string flag = v2;
  flag[36] = 2;
  EXPECT_THAT(error_of(flag), EndsWith("header.shared_classifier: expected 0 or 1, found 2"));
  EXPECT_THAT(error_of(with_i32(v2, 37, 5)), HasSubstr("header.group_size: expected a divisor of dim 32"));
}

// export.py writes groups across the whole tensor, so that with hidden_dim 172 and groups of 64 a scale
// covers weights of two rows of `down`.
TEST(Llama2c, RefusesGroupsAcrossRows) {
  Config config = small_config(true);
  config.hidden_dim = 44;
  const std::string error = error_of(write_v2(test::random_weights(config, 1), kGroup));
  EXPECT_THAT(error,
              HasSubstr("header.group_size: expected a divisor of hidden_dim 44 (groups that run across"));
  EXPECT_THAT(error, EndsWith("found 8"));
}

TEST(Llama2c, SaysThatOtherFilesAreNoCheckpoints) {
  const std::string gguf =
      std::string("GGUF\3\0\0\0\x23\1\0\0\0\0\0\0\x14\0\0\0\0\0\0\0", 24) + std::string(4000, 'g');
  EXPECT_THAT(error_of(gguf), HasSubstr("magic: expected a llama2.c checkpoint"));
  EXPECT_THAT(error_of(gguf), EndsWith("found 0x46554747 (GGUF)"));
  EXPECT_THAT(error_of(std::string(1000, '\xF0')), HasSubstr("magic: expected a llama2.c checkpoint"));
  EXPECT_THAT(error_of(std::string(1000, 't')), HasSubstr("content: expected a model"));
  EXPECT_THAT(error_of("\x89PNG\r\n\x1A\n" + std::string("\0\0\0\rIHDR", 8) + std::string(100, '\0')),
              HasSubstr("found a picture (PNG)"));
  EXPECT_THAT(error_of(std::string(1000, '\0')), HasSubstr("found zeros where a file begins"));
  EXPECT_THAT(error_of("\1\1\1\1"), HasSubstr("header: expected 28 bytes"));
  EXPECT_THAT(error_of("tex"),
              HasSubstr("magic: expected 4 bytes at offset 0, found 3 to the end of the file"));
}

TEST(Llama2c, NamesTheTensorThatIsCutOff) {
  std::string content = small_file(1);
  const std::size_t size = content.size();
  EXPECT_THAT(
      error_of(content + "x"),
      EndsWith(fmt::format("file size: expected {} bytes, as the header says, found {}", size, size + 1)));
  content.pop_back();
  EXPECT_THAT(error_of(content),
              EndsWith(fmt::format("layers.1.up: expected 6144 bytes at offset {}, found 6143 to "
                                   "the end of the file",
                                   size - 6144)));
  std::string quantized = small_file(2);
  quantized.pop_back();
  EXPECT_THAT(error_of(quantized), HasSubstr("layers.1.up (scales): expected 768 bytes"));
}

TEST(Llama2c, TruncatedAnywhereIsAnError) {
  for (const int version : {0, 1, 2}) {
    const std::string content = small_file(version);
    const std::size_t header = version == 0 ? 28 : 256;
    std::vector<std::size_t> sizes;
    for (std::size_t i = 1000; i > 0; --i) sizes.push_back(header + (content.size() - 1 - header) * i / 1000);
    for (std::size_t i = header + 1; i > 0; --i) sizes.push_back(i - 1);
    TempFile temp(content);
    for (const std::size_t size : sizes) {
      temp.resize(size);
      EXPECT_THROW(read_llama2c(temp.path()), std::runtime_error) << "v" << version << " cut to " << size;
    }
  }
}

TEST(Llama2c, AnyFlippedHeaderBitIsReadOrRefused) {
  for (const int version : {0, 1, 2}) {
    const std::string content = small_file(version, false);
    const std::size_t header = version == 0 ? 28 : 256;
    for (std::size_t bit = 0; bit < header * 8; ++bit) {
      std::string flipped = content;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
      const TempFile temp(flipped);
      try {
        const ModelFile model = read_llama2c(temp.path());
        for (const Tensor* tensor : model.tensors()) {
          EXPECT_GE(tensor->data.data(), model.parts.front().bytes().data());
          EXPECT_LE(tensor->data.data() + tensor->data.size(),
                    model.parts.front().bytes().data() + content.size());
        }
      } catch (const std::runtime_error& error) {
        EXPECT_THAT(error.what(), HasSubstr(temp.path()));
      }
    }
  }
}

TEST(Llama2c, ATruncationAfterLoadingIsNoticed) {
  TempFile temp(small_file(1));
  const ModelFile model = read_llama2c(temp.path());
  temp.resize(300);
  EXPECT_EQ(values<float>(model.layers[1].up.data).back(), 0.0F);
  EXPECT_THROW(model.check_intact(), std::runtime_error);
}

}  // namespace
}  // namespace llamajit::llama2c_test
