// The container: every kind of value, every field that can be wrong, and files that others' readers fell for.
#include "runtime/files/gguf.h"

#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "tests/support/gguf_writer.h"
#include "tests/support/temp_file.h"

namespace llamajit::gguf_test {
namespace {

using test::bytes_of;
using test::GgufWriter;
using test::TempFile;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Reads from memory that ends where the content does, so that the sanitizer sees every byte beyond. The views
// of the result are not to be used.
GgufPart read(const std::string& content) {
  const auto exact = std::make_unique<std::byte[]>(content.size());
  if (!content.empty()) std::memcpy(exact.get(), content.data(), content.size());
  return read_gguf_part("bad.gguf", {exact.get(), content.size()});
}

std::optional<std::string> error_of(const std::string& content) {
  try {
    read(content);
    return std::nullopt;
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

void expect_error(const std::string& content, const std::string& field, const std::string& expected,
                  const std::string& found) {
  EXPECT_THAT(error_of(content).value_or("no error"), AllOf(HasSubstr(fmt::format("bad.gguf: {}: ", field)),
                                                            HasSubstr(fmt::format("expected {}", expected)),
                                                            HasSubstr(fmt::format("found {}", found))));
}

std::string header(std::uint64_t n_tensors, std::uint64_t n_entries) {
  return std::string("GGUF") + bytes_of(std::uint32_t{3}) + bytes_of(n_tensors) + bytes_of(n_entries);
}
// A file of one entry, up to its value.
std::string entry(std::string_view key, std::uint32_t type) {
  return header(0, 1) + test::gguf_string(key) + bytes_of(type);
}
// A file of one F32 tensor, without data.
std::string tensor(const std::vector<std::uint64_t>& dims, std::uint64_t offset,
                   std::uint32_t type = test::kF32) {
  std::string out = header(1, 0) + test::gguf_string("t") + bytes_of(static_cast<std::uint32_t>(dims.size()));
  for (const std::uint64_t dim : dims) out += bytes_of(dim);
  out += bytes_of(type) + bytes_of(offset);
  out.resize((out.size() + 31) / 32 * 32, '\0');
  return out;
}

TEST(Gguf, MessagesQuoteTheBeginningOfLongNames) {
  const std::string name(13000, 'x');
  const std::string error = error_of(entry(name, 77)).value_or("");
  EXPECT_THAT(error, AllOf(HasSubstr(std::string(300, 'x') + "… (13000 bytes): expected a value type"),
                           HasSubstr("found 77")));
  EXPECT_LT(error.size(), 400U);
}

// One of everything.
GgufWriter small_file() {
  GgufWriter w;
  w.add("text", "한글 and \"quotes\"");
  w.add("u8", GgufType::u8, bytes_of(std::uint8_t{200}));
  w.add("i8", GgufType::i8, bytes_of(std::int8_t{-100}));
  w.add("u16", GgufType::u16, bytes_of(std::uint16_t{60000}));
  w.add("i16", GgufType::i16, bytes_of(std::int16_t{-30000}));
  w.add("u32", GgufType::u32, bytes_of(std::uint32_t{4000000000}));
  w.add("i32", GgufType::i32, bytes_of(std::int32_t{-2000000000}));
  w.add("u64", GgufType::u64, bytes_of(std::uint64_t{1} << 63));
  w.add("i64", GgufType::i64, bytes_of(std::int64_t{-1} << 62));
  w.add("f32", 1.5F);
  w.add("f64", GgufType::f64, bytes_of(-2.25));
  w.add("yes", true);
  w.add("no", false);
  w.add("texts", std::vector<std::string>{"a", "", "b"});
  w.add("floats", std::vector<float>{1, 2});
  w.add("none", std::vector<std::int32_t>{});
  const std::string row = bytes_of(GgufType::u8) + bytes_of(std::uint64_t{2}) + "\7\11";
  w.add("rows", GgufType::array, bytes_of(GgufType::array) + bytes_of(std::uint64_t{2}) + row + row);
  w.add_tensor("first", {3}, test::kF32, std::string(12, 'x'));
  w.add_tensor("second", {32, 2, 3}, test::kQ8_0, std::string(34 * 6, 'y'));
  return w;
}

template <class T>
T scalar(const GgufFile& file, std::string_view key) {
  return std::get<T>(std::get<GgufScalar>(file.find(key)->value));
}

TEST(Gguf, ReadsEveryType) {
  for (const std::uint32_t version : {2, 3}) {
    GgufWriter w = small_file();
    w.version = version;
    const TempFile temp(w.content());
    const GgufFile file(temp.path());
    EXPECT_EQ(file.version(), version);
    EXPECT_EQ(file.metadata().size(), 17);
    EXPECT_EQ(file.metadata()[1].key, "u8");
    EXPECT_EQ(scalar<std::string_view>(file, "text"), "한글 and \"quotes\"");
    EXPECT_EQ(scalar<std::uint64_t>(file, "u8"), 200);
    EXPECT_EQ(scalar<std::int64_t>(file, "i8"), -100);
    EXPECT_EQ(scalar<std::uint64_t>(file, "u16"), 60000);
    EXPECT_EQ(scalar<std::int64_t>(file, "i16"), -30000);
    EXPECT_EQ(scalar<std::uint64_t>(file, "u32"), 4000000000);
    EXPECT_EQ(scalar<std::int64_t>(file, "i32"), -2000000000);
    EXPECT_EQ(scalar<std::uint64_t>(file, "u64"), std::uint64_t{1} << 63);
    EXPECT_EQ(scalar<std::int64_t>(file, "i64"), std::int64_t{-1} << 62);
    EXPECT_EQ(scalar<float>(file, "f32"), 1.5F);
    EXPECT_EQ(scalar<double>(file, "f64"), -2.25);
    EXPECT_EQ(scalar<bool>(file, "yes"), true);
    EXPECT_EQ(scalar<bool>(file, "no"), false);
    EXPECT_EQ(file.array("texts", GgufType::string)->strings, (std::vector<std::string_view>{"a", "", "b"}));
    EXPECT_EQ(file.array("floats", GgufType::f32)->size, 2);
    EXPECT_EQ(std::get<float>((*file.array("floats", GgufType::f32))[1]), 2.0F);
    EXPECT_EQ(file.array("none", GgufType::i32)->size, 0);
    const auto& rows = file.array("rows", GgufType::array)->arrays;
    ASSERT_EQ(rows.size(), 2);
    EXPECT_EQ(std::get<std::uint64_t>(rows[1][1]), 9);
  }
}

TEST(Gguf, TensorsAreViewsOfTheFile) {
  for (const std::uint32_t alignment : {32U, 64U, 1U, 4096U}) {
    GgufWriter w = small_file();
    w.alignment = alignment;
    const TempFile temp(w.content());
    const GgufFile file(temp.path());
    ASSERT_EQ(file.tensors().size(), 2);
    const GgufTensor& second = *file.find_tensor("second");
    EXPECT_EQ(second.type->name, "Q8_0");
    EXPECT_EQ(second.n_dims, 3);
    EXPECT_EQ(second.dims, (std::array<std::int64_t, 4>{32, 2, 3, 1}));
    EXPECT_EQ(second.offset % alignment, 0);
    EXPECT_EQ(second.data.size(), 34 * 6);
    EXPECT_EQ(second.data.data(), file.parts()[0].bytes().data() + second.offset);
    EXPECT_EQ(second.data.front(), std::byte{'y'});
    EXPECT_EQ(second.data.back(), std::byte{'y'});
    EXPECT_EQ(file.find_tensor("third"), nullptr);
  }
}

TEST(Gguf, TypedLookUpsSayWhatTheyWanted) {
  const TempFile temp(small_file().content());
  const GgufFile file(temp.path());
  EXPECT_EQ(file.integer("u8", 0, 255), 200);
  EXPECT_EQ(file.integer("i64", INT64_MIN, 0), std::int64_t{-1} << 62);
  EXPECT_EQ(file.integer("missing", 0, 1), std::nullopt);
  EXPECT_EQ(file.number("f32"), 1.5);
  EXPECT_EQ(file.number("i8"), -100.0);
  EXPECT_EQ(file.boolean("yes"), true);
  EXPECT_EQ(file.string("text"), "한글 and \"quotes\"");
  EXPECT_EQ(file.array("missing", GgufType::f32), nullptr);
  const auto expect = [&](auto look_up, const std::string& message) {
    try {
      look_up();
      ADD_FAILURE() << message;
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(error.what(), temp.path() + ": " + message);
    }
  };
  expect([&] { file.integer("u8", 0, 199); }, "u8: expected an integer from 0 to 199, found 200");
  expect([&] { file.integer("i8", 0, 199); }, "i8: expected an integer from 0 to 199, found -100");
  expect([&] { file.integer("u64", 0, 9); },
         "u64: expected an integer from 0 to 9, found 9223372036854775808");
  expect([&] { file.integer("f32", 0, 9); }, "f32: expected an integer from 0 to 9, found 1.5");
  expect([&] { file.integer("text", 0, 9); }, "text: expected an integer from 0 to 9, found string");
  expect([&] { file.number("yes"); }, "yes: expected a finite number, found bool");
  expect([&] { file.boolean("u8"); }, "u8: expected true or false, found u8");
  expect([&] { file.string("texts"); }, "texts: expected a string, found an array of string");
  expect([&] { file.array("texts", GgufType::f32); },
         "texts: expected an array of f32, found an array of string");
  expect([&] { file.array("u8", GgufType::f32); }, "u8: expected an array of f32, found u8");
}

TEST(Gguf, RefusesOtherVersionsAndByteOrders) {
  expect_error(std::string("GGML") + std::string(20, '\0'), "magic", "0x46554747 (GGUF)", "0x4c4d4747");
  for (const std::uint32_t version : {0U, 1U, 4U, 0xFFFFU}) {
    GgufWriter w;
    w.version = version;
    if (version != 0) expect_error(w.content(), "version", "2 or 3, little-endian", fmt::to_string(version));
  }
  GgufWriter w;
  w.version = 0x03000000;
  expect_error(w.content(), "version", "2 or 3, little-endian", "0x03000000: a big-endian file");
}

// CVE-2024-21802, -21825, -21836, -23496, -23605: counts and lengths that are believed.
TEST(Gguf, CountsAreHeldAgainstTheFilesSize) {
  for (const std::uint64_t count :
       {std::uint64_t{1}, std::uint64_t{1} << 32, std::uint64_t{1} << 60, UINT64_MAX}) {
    expect_error(header(count, 0), "header.tensor_count", "at most 0", fmt::to_string(count));
    expect_error(header(0, count), "header.metadata_kv_count", "at most 0", fmt::to_string(count));
    const std::string array = entry("a", 9);
    expect_error(array + bytes_of(GgufType::string) + bytes_of(count), "a", "at most 0",
                 fmt::to_string(count));
    expect_error(array + bytes_of(GgufType::array) + bytes_of(count), "a", "at most 0",
                 fmt::to_string(count));
    expect_error(array + bytes_of(GgufType::u8) + bytes_of(count), "a",
                 fmt::format("{} bytes at offset", count), "0 to the end of the file");
    expect_error(header(0, 1) + bytes_of(count | 64) + std::string(20, 'k'), "metadata[0].key",
                 fmt::format("{} bytes at offset", count | 64), "20 to the end of the file");
    expect_error(entry("a", 8) + bytes_of(count), "a", fmt::format("{} bytes at offset", count),
                 "0 to the end");
  }
  expect_error(entry("a", 9) + bytes_of(GgufType::u64) + bytes_of(std::uint64_t{1} << 61), "a",
               "a size that fits 64 bits", "2305843009213693952 x 8");
}

TEST(Gguf, KeysAndNamesAreShortAndDiffer) {
  GgufWriter w;
  w.add("key", 1);
  w.add("key", 2);
  expect_error(w.content(), "metadata[1].key", "keys that differ", "'key' again");
  GgufWriter empty;
  empty.add("", 1);
  expect_error(empty.content(), "metadata[0].key", "1 to 65535 bytes", "0");
  GgufWriter longest;
  longest.add(std::string(65535, 'k'), 1);
  EXPECT_EQ(error_of(longest.content()), std::nullopt);
  longest.add(std::string(65536, 'k'), 1);
  expect_error(longest.content(), "metadata[1].key", "1 to 65535 bytes", "65536");
  GgufWriter control;
  control.add("a\nb", 1);
  expect_error(control.content(), "metadata[0].key", "no control characters", "'a\\x0Ab'");

  GgufWriter tensors;
  tensors.add_tensor("t", {1}, test::kF32, std::string(4, '\0'));
  tensors.add_tensor("t", {1}, test::kF32, std::string(4, '\0'));
  expect_error(tensors.content(), "tensors[1].name", "names that differ", "'t' again");
  GgufWriter name;
  name.add_tensor(std::string(129, 'n'), {1}, test::kF32, std::string(4, '\0'));
  expect_error(name.content(), "tensors[0].name", "1 to 128 bytes", "129");
}

TEST(Gguf, RefusesTypesThatAreNone) {
  for (const std::uint32_t type : {13U, 14U, 0x80000000U, 0xFFFFFFFFU}) {
    expect_error(entry("a", type) + std::string(16, '\0'), "a", "a value type, 0 to 12",
                 fmt::to_string(type));
    expect_error(entry("a", 9) + bytes_of(type) + std::string(16, '\0'), "a", "a value type, 0 to 12",
                 fmt::to_string(type));
  }
  expect_error(entry("a", 7) + "\2", "a", "0 or 1", "2");
  expect_error(entry("a", 9) + bytes_of(GgufType::boolean) + bytes_of(std::uint64_t{2}) + "\1\xFF", "a",
               "0 or 1", "255");
  for (const std::uint32_t type : {4U, 5U, 33U, 43U, 0xFFFFFFFFU}) {
    expect_error(tensor({1}, 0, type), "t", "a known tensor type", fmt::format("type {}", type));
  }
}

// Arrays of arrays, as deep as the file is long: no recursion that follows.
TEST(Gguf, NestingIsBounded) {
  const auto nested = [](int depth) {
    std::string out = entry("a", 9);
    for (int i = 1; i < depth; ++i) out += bytes_of(GgufType::array) + bytes_of(std::uint64_t{1});
    return out + bytes_of(GgufType::u8) + bytes_of(std::uint64_t{0});
  };
  EXPECT_EQ(error_of(nested(4)), std::nullopt);
  expect_error(nested(5), "a", "arrays nested up to 4 deep", "more");
  expect_error(nested(1'000'000), "a", "arrays nested up to 4 deep", "more");
}

// CVE-2025-53630, CVE-2026-27940, CVE-2026-33298: sizes whose
// product wraps; CVE-2026-7482: extents beyond the file.
TEST(Gguf, ExtentsLieWithinTheFile) {
  constexpr std::uint64_t kBig = std::uint64_t{1} << 32;
  expect_error(tensor({}, 0), "t", "1 to 4 dimensions", "0");
  expect_error(tensor({1, 1, 1, 1, 1}, 0), "t", "1 to 4 dimensions", "5");
  expect_error(tensor({0}, 0), "t", "a dimension of at least 1", "0");
  expect_error(tensor({1, UINT64_MAX}, 0), "t", "a dimension of at least 1", "-1");
  expect_error(tensor({kBig, kBig}, 0), "t", "a size that fits 64 bits", "4294967296 x 4 x 4294967296");
  expect_error(tensor({std::uint64_t{1} << 62}, 0), "t", "a size that fits 64 bits", "");
  expect_error(tensor({kBig, kBig / 8, 1, 1}, 0), "t", "9223372036854775808 bytes", "0 to the end");
  expect_error(tensor({8}, 0) + std::string(31, '\0'), "t", "32 bytes at offset 64", "31 to the end");
  EXPECT_EQ(error_of(tensor({8}, 0) + std::string(32, '\0')), std::nullopt);
  expect_error(tensor({8}, 32) + std::string(32, '\0'), "t", "32 bytes at offset 96", "0 to the end");
  expect_error(tensor({8}, 64) + std::string(32, '\0'), "t", "64 bytes at offset 64", "32 to the end");
  expect_error(tensor({8}, UINT64_MAX - 31) + std::string(64, '\0'), "t", "18446744073709551584 bytes", "64");
  expect_error(tensor({8}, 1) + std::string(64, '\0'), "t", "an offset that is a multiple of 32", "1");
  expect_error(tensor({31}, 0, test::kQ8_0) + std::string(64, '\0'), "t", "rows of a multiple of 32 weights",
               "31");
}

TEST(Gguf, TensorsShareNoBytes) {
  std::string content = tensor({8}, 0);
  GgufWriter w;
  w.add_tensor("a", {16}, test::kF32, std::string(64, '\0'));
  w.add_tensor("b", {8}, test::kF32, std::string(32, '\0'));
  content = w.content();
  const std::size_t offset_of_b =
      content.find(std::string("b").append(bytes_of(std::uint32_t{1}))) + 1 + 4 + 8 + 4;
  content.replace(offset_of_b, 8, bytes_of(std::uint64_t{32}));
  expect_error(content, "b", "data of its own", "bytes of 'a' at offset");
}

TEST(Gguf, TheAlignmentIsAPowerOfTwo) {
  for (const std::uint32_t alignment : {0U, 3U, 33U, 0xFFFFFFFFU}) {
    GgufWriter w;
    w.add("general.alignment", alignment);
    w.add_tensor("t", {1}, test::kF32, std::string(4, '\0'));
    expect_error(w.content(), "general.alignment", "a power of two of type u32", fmt::to_string(alignment));
  }
  GgufWriter w;
  w.add("general.alignment", "32");
  w.add_tensor("t", {1}, test::kF32, std::string(4, '\0'));
  expect_error(w.content(), "general.alignment", "a power of two of type u32", "another type");
}

TEST(Gguf, TruncatedAnywhereIsAnError) {
  GgufWriter w = small_file();
  const std::string content = w.content();
  const std::size_t data_end = content.size() - 20;  // what is left is padding
  for (std::size_t size = 0; size < data_end; ++size) {
    const auto error = error_of(content.substr(0, size));
    ASSERT_TRUE(error) << size;
    EXPECT_THAT(*error, AllOf(HasSubstr("bad.gguf: "), HasSubstr("expected "), HasSubstr("found "))) << size;
  }
  EXPECT_EQ(error_of(content.substr(0, data_end)), std::nullopt);
}

// Every bit of the metadata flipped, and every byte set to the extremes: an error or a file, never a crash.
TEST(Gguf, DamageIsAnErrorOrAFile) {
  const std::string content = small_file().content();
  const auto try_with = [&](std::size_t at, char byte) {
    std::string damaged = content;
    damaged[at] = byte;
    if (const auto error = error_of(damaged)) {
      EXPECT_EQ(error->find('\n'), std::string::npos);
    }
  };
  for (std::size_t at = 0; at < content.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) try_with(at, static_cast<char>(content[at] ^ 1 << bit));
    for (const char byte : {'\x00', '\xFF', '\x7F', '\x80'}) try_with(at, byte);
  }
}

}  // namespace
}  // namespace llamajit::gguf_test
