// Files that are written must be read as what they were, and appear whole or not at all.
#include "runtime/files/gguf_writer.h"

#include <filesystem>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/gguf_writer.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::test::gguf_writer_test {
namespace {

using FileWriter = llamajit::GgufWriter;

std::span<const std::byte> bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

TEST(GgufFileWriter, WhatIsWrittenIsRead) {
  const TempDirectory directory;
  const std::string path = directory.path() + "/a.gguf";
  FileWriter writer(path);
  writer.add("general.architecture", "llama");
  writer.add("a.count", std::uint32_t{7});
  writer.add("a.number", 0.1F);
  writer.add("a.truth", true);
  writer.add("a.texts", std::vector<std::string>{"one", "", "three"});
  writer.add("a.floats", std::vector<float>{1, -2});
  writer.add("a.integers", std::vector<std::int32_t>{-1, 5});
  const std::int64_t matrix[] = {3, 2}, vector[] = {5};
  writer.add_tensor("matrix", matrix, kF32, 24);
  writer.add_tensor("vector", vector, kF16, 10);
  writer.begin_data();
  writer.write_data(bytes(std::string(20, 'a')));
  writer.write_data(bytes("bbbb"));
  writer.write_data(bytes(std::string(10, 'c')));
  writer.finish();

  const GgufFile file(path);
  EXPECT_EQ(file.version(), 3U);
  EXPECT_EQ(file.string("general.architecture"), "llama");
  EXPECT_EQ(file.integer("a.count", 0, 10), 7);
  EXPECT_EQ(file.number("a.number"), static_cast<double>(0.1F));
  EXPECT_EQ(file.boolean("a.truth"), true);
  EXPECT_THAT(file.array("a.texts", GgufType::string)->strings, ::testing::ElementsAre("one", "", "three"));
  EXPECT_EQ(std::get<float>((*file.array("a.floats", GgufType::f32))[1]), -2);
  EXPECT_EQ(std::get<std::int64_t>((*file.array("a.integers", GgufType::i32))[0]), -1);
  ASSERT_EQ(file.tensors().size(), 2U);
  EXPECT_EQ(file.tensors()[0].offset % FileWriter::kAlignment, 0U);
  EXPECT_EQ(std::to_integer<char>(file.tensors()[0].data[19]), 'a');
  EXPECT_EQ(std::to_integer<char>(file.tensors()[0].data[20]), 'b');
  EXPECT_EQ(std::to_integer<char>(file.tensors()[1].data[9]), 'c');
  EXPECT_EQ(file.tensors()[1].dims[0], 5);
}

// Every type of value, copied from one file to another.
TEST(GgufFileWriter, CopiesEntriesOfEveryType) {
  GgufWriter from;
  from.add("u8", GgufType::u8, bytes_of(std::uint8_t{200}));
  from.add("i8", GgufType::i8, bytes_of(std::int8_t{-100}));
  from.add("u16", GgufType::u16, bytes_of(std::uint16_t{60000}));
  from.add("i16", GgufType::i16, bytes_of(std::int16_t{-30000}));
  from.add("u32", GgufType::u32, bytes_of(std::uint32_t{4000000000U}));
  from.add("i32", GgufType::i32, bytes_of(std::int32_t{-2000000000}));
  from.add("u64", GgufType::u64, bytes_of(std::numeric_limits<std::uint64_t>::max()));
  from.add("i64", GgufType::i64, bytes_of(std::numeric_limits<std::int64_t>::min()));
  from.add("f32", GgufType::f32, bytes_of(1.5F));
  from.add("f64", GgufType::f64, bytes_of(0.1));
  from.add("boolean", true);
  from.add("string", "text");
  from.add("numbers", std::vector<float>{1, 2, 3});
  from.add("texts", std::vector<std::string>{"a", "b"});
  const std::string inner = bytes_of(GgufType::u8) + bytes_of(std::uint64_t{2}) + "xy";
  from.add("arrays", GgufType::array, bytes_of(GgufType::array) + bytes_of(std::uint64_t{2}) + inner + inner);
  const TempFile in(from.content());
  const GgufFile file(in.path());

  const TempDirectory directory;
  const std::string path = directory.path() + "/copy.gguf";
  FileWriter writer(path);
  for (const GgufEntry& entry : file.metadata()) writer.add(entry);
  writer.begin_data();
  writer.finish();
  std::ifstream copy(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(copy), {}};
  EXPECT_EQ(content.substr(0, from.content().size()), from.content());  // then padding
  EXPECT_EQ(content.find_first_not_of('\0', from.content().size()), content.npos);
}

// A tensor of I2_S ends with its scale, padded; a file that ends before that is refused.
TEST(GgufFileWriter, I2sTensorsHaveAScaleBehindThem) {
  for (const std::size_t bytes : {std::size_t{64}, std::size_t{63}, std::size_t{32}}) {
    GgufWriter w;
    w.add_tensor("ternary", {128}, 36, std::string(bytes, 'x'));
    std::string content = w.content();
    content.resize(content.size() - (64 - bytes) % 32);
    const TempFile file(content);
    if (bytes == 64) {
      EXPECT_EQ(GgufFile(file.path()).tensors()[0].data.size(), 64U);
    } else {
      EXPECT_THROW(GgufFile(file.path()), std::runtime_error) << bytes;
    }
  }
  GgufWriter huge;
  huge.add_tensor("ternary", {std::uint64_t{1} << 40, std::uint64_t{1} << 22}, 36, "x");
  EXPECT_THROW(GgufFile(TempFile(huge.content()).path()), std::runtime_error);
}

TEST(GgufFileWriter, LeavesNothingWithoutFinish) {
  const TempDirectory directory;
  const std::string old = directory.write("old.gguf", "old");
  {
    FileWriter writer(directory.path() + "/new.gguf");
    FileWriter over(old);
    over.begin_data();
  }
  EXPECT_EQ(std::filesystem::file_size(old), 3U);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 1);
}

TEST(GgufFileWriter, RefusesWhatIsNoFile) {
  EXPECT_THROW(FileWriter("/dev/null"), std::runtime_error);
  EXPECT_THROW(FileWriter("/"), std::runtime_error);
  EXPECT_THROW(FileWriter("/nowhere/at/all.gguf"), std::runtime_error);
  EXPECT_THROW(FileWriter(""), std::runtime_error);
}

}  // namespace
}  // namespace llamajit::test::gguf_writer_test
