// GGUF files that are split, truncated while in use, or something else.
#include <cstddef>
#include <stdexcept>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "runtime/files/gguf.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::gguf_file_test {
namespace {

using test::bytes_of;
using test::GgufWriter;
using test::TempDirectory;
using test::TempFile;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A part with one tensor.
GgufWriter part(int number, int count, const std::string& tensor) {
  GgufWriter w;
  w.add("split.no", GgufType::u16, bytes_of(static_cast<std::uint16_t>(number)));
  w.add("split.count", GgufType::u16, bytes_of(static_cast<std::uint16_t>(count)));
  w.add("split.tensors.count", GgufType::i32, bytes_of(std::int32_t{count}));
  w.add_tensor(tensor, {8}, test::kF32, std::string(32, static_cast<char>('0' + number)));
  return w;
}

class SplitGguf : public ::testing::Test {
 protected:
  std::string write(int number, int count, const GgufWriter& writer) const {
    return directory_.write(fmt::format("m-{:05}-of-{:05}.gguf", number + 1, count), writer.content());
  }
  static std::string error_of(const std::string& path) {
    try {
      const GgufFile file(path);
      return "no error";
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  }
  TempDirectory directory_;
};

TEST_F(SplitGguf, ItsPartsAreOneFile) {
  GgufWriter first = part(0, 3, "a");
  first.add("general.architecture", "llama");
  GgufWriter second = part(1, 3, "b");
  second.alignment = 64;
  const std::string path = write(0, 3, first);
  write(1, 3, second);
  write(2, 3, part(2, 3, "c"));
  const GgufFile file(path);
  EXPECT_EQ(file.parts().size(), 3);
  ASSERT_EQ(file.tensors().size(), 3);
  EXPECT_EQ(file.string("general.architecture"), "llama");
  for (std::size_t i = 0; i < 3; ++i) {
    const GgufTensor& tensor = file.tensors()[i];
    EXPECT_EQ(tensor.part, i);
    EXPECT_EQ(tensor.data.front(), static_cast<std::byte>('0' + i));
  }
}

TEST_F(SplitGguf, SaysWhichPartIsWrong) {
  const std::string first = write(0, 2, part(0, 2, "a"));
  EXPECT_THAT(error_of(first), AllOf(HasSubstr("m-00002-of-00002.gguf"), HasSubstr("No such file")));
  const std::string second = write(1, 2, part(1, 2, "a"));
  EXPECT_THAT(error_of(first), AllOf(HasSubstr(second), HasSubstr("a: expected no tensor of a part before")));
  write(1, 2, part(0, 2, "b"));
  EXPECT_THAT(error_of(first), AllOf(HasSubstr(second), HasSubstr("split.no: expected 1, found 0")));
  write(1, 2, GgufWriter());
  EXPECT_THAT(error_of(first), AllOf(HasSubstr(second), HasSubstr("split.no: expected 1, found none")));
  GgufWriter two = part(1, 2, "b");
  two.add_tensor("c", {8}, test::kF32, std::string(32, '\0'));
  write(1, 2, two);
  EXPECT_THAT(error_of(first),
              HasSubstr("split.tensors.count: expected 3, as many as the parts have, found 2"));
  EXPECT_THAT(error_of(second), HasSubstr("split.no: expected the first of 2 parts, whose name ends in "
                                          "'-00001-of-00002.gguf', found part 2"));
  const std::string renamed = directory_.write("model.gguf", part(0, 2, "a").content());
  EXPECT_THAT(error_of(renamed), HasSubstr("whose name ends in '-00001-of-00002.gguf'"));
}

TEST(GgufFileOf, SaysWhenItIsTruncatedMeanwhile) {
  TempFile temp(part(0, 1, "a").content());
  const GgufFile file(temp.path());
  EXPECT_NO_THROW(file.check_intact());
  temp.resize(40);
  EXPECT_THROW(file.check_intact(), std::runtime_error);
}

TEST(GgufFileOf, IsToldByItsFirstBytes) {
  EXPECT_TRUE(is_gguf(TempFile(part(0, 1, "a").content()).path()));
  EXPECT_TRUE(is_gguf(TempFile("GGUF").path()));
  EXPECT_FALSE(is_gguf(TempFile("GGU").path()));
  EXPECT_FALSE(is_gguf(TempFile("ggml and more").path()));
}

}  // namespace
}  // namespace llamajit::gguf_file_test
