#include "runtime/files/tokenizer_bin.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "tests/support/temp_file.h"
#include "tests/support/test_data.h"

namespace llamajit::tokenizer_bin_test {
namespace {

using test::TempFile;
using ::testing::EndsWith;
using ::testing::HasSubstr;

template <class T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

std::string record(std::string_view bytes, float score = 0) {
  std::string out;
  append(out, score);
  append(out, static_cast<std::uint32_t>(bytes.size()));
  return out.append(bytes);
}

std::string utf8_below_256(int c) {
  if (c < 0x80) return std::string(1, static_cast<char>(c));
  return {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
}

// 263 tokens: the three control pieces, 256 byte pieces
// as either export spells them, and " t", "a", "é", "a".
std::vector<std::string> small_vocabulary(bool raw_bytes) {
  std::vector<std::string> pieces{"<unk>", "\n<s>\n", "\n</s>\n"};
  for (int b = 0; b < 256; ++b)
    pieces.push_back(raw_bytes ? utf8_below_256(b) : fmt::format("<0x{:02X}>", b));
  pieces.insert(pieces.end(), {" t", "a", "\xC3\xA9", "a"});
  return pieces;
}

std::string file_of(const std::vector<std::string>& pieces) {
  std::string out;
  append(out, std::uint32_t{27});
  for (std::size_t i = 0; i < pieces.size(); ++i) out += record(pieces[i], -static_cast<float>(i));
  return out;
}

Vocab read(const std::string& content, int vocab_size = -1) {
  return read_tokenizer_bin(TempFile(content).path(), vocab_size);
}

std::string error_of(const std::string& content, int vocab_size = -1) {
  try {
    read(content, vocab_size);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "no error";
}

void expect_byte_pieces(const Vocab& vocab) {
  for (int b = 0; b < 256; ++b) {
    EXPECT_EQ(vocab[b + 3].kind, PieceKind::byte) << b;
    EXPECT_EQ(vocab[b + 3].bytes, std::string(1, static_cast<char>(b))) << b;
    EXPECT_EQ(vocab.byte_piece(static_cast<std::uint8_t>(b)), b + 3);
  }
  for (TokenId id = 0; id < vocab.size(); ++id) {
    const PieceKind expected = id < 3 ? PieceKind::control : id < 259 ? PieceKind::byte : PieceKind::normal;
    ASSERT_EQ(vocab[id].kind, expected) << id;
  }
}

TEST(TokenizerBin, ReadsBothSpellingsOfBytes) {
  for (const bool raw_bytes : {false, true}) {
    const Vocab vocab = read(file_of(small_vocabulary(raw_bytes)));
    ASSERT_EQ(vocab.size(), 263);
    expect_byte_pieces(vocab);
    EXPECT_EQ(vocab.find("a"), 260) << "the lower normal piece, not the byte piece";
    EXPECT_EQ(vocab.find("\xC3\xA9"), 261);
    EXPECT_EQ(vocab.find("b"), -1) << "a byte piece is not found as text";
    EXPECT_EQ(vocab[259].bytes, " t");
    EXPECT_EQ(vocab[259].score, -259.0F);
  }
}

TEST(TokenizerBin, HasTheModelsCount) {
  const std::string content = file_of(small_vocabulary(false));
  EXPECT_EQ(read(content, 263).size(), 263);
  EXPECT_EQ(read(content, -1).size(), 263);
  for (const int fewer : {262, 260, 3, 2}) {
    EXPECT_THAT(error_of(content, fewer),
                EndsWith(fmt::format(": tokens: expected {} (the model's vocabulary), found 263", fewer)));
  }
  EXPECT_THAT(error_of(content, 32000),
              EndsWith(": tokens: expected 32000 (the model's vocabulary), found 263"));
  EXPECT_THAT(error_of(content, std::numeric_limits<int>::max()), HasSubstr("expected 2147483647"));
  EXPECT_THAT(error_of(file_of({"a", "b"}), 2), HasSubstr("tokens: expected at least 3"));
}

TEST(TokenizerBin, ParsesBytePiecesStrictly) {
  for (const char* odd : {"<0x-1>", "<0xGG>", "<0xff>", "<0xaB>", "<0x+1>", "<0x 1>", "<0x1>", "<0x001>",
                          "<0X41>", "<0x41", "0x41>", "<0x41>>", "", "<"}) {
    auto pieces = small_vocabulary(false);
    pieces[3 + 0x41] = odd;
    const Vocab vocab = read(file_of(pieces));
    EXPECT_EQ(vocab[3 + 0x41].kind, PieceKind::normal) << odd;
    EXPECT_EQ(vocab[3 + 0x41].bytes, odd);
    EXPECT_EQ(vocab.byte_piece(0x41), -1) << odd;
  }
  auto pieces = small_vocabulary(false);
  pieces[259] = "<0x41>";  // outside of the byte pieces' ids
  EXPECT_EQ(read(file_of(pieces))[259].kind, PieceKind::normal);
}

TEST(TokenizerBin, AVocabularyWithoutBytePiecesStaysSo) {
  const Vocab vocab = read(file_of({"<unk>", "<s>", "</s>", "a", "b"}));
  EXPECT_EQ(vocab.find("a"), 3);
  for (int b = 0; b < 256; ++b) EXPECT_EQ(vocab.byte_piece(static_cast<std::uint8_t>(b)), -1);
}

TEST(TokenizerBin, NamesTheBadField) {
  std::string content = file_of(small_vocabulary(false));
  EXPECT_THAT(error_of(content + "x"),
              EndsWith("tokens[263].score: expected 4 bytes at offset " + std::to_string(content.size()) +
                       ", found 1 to the end of the file"));
  EXPECT_THAT(error_of(content + record("end").substr(0, 10)),
              HasSubstr("tokens[263].bytes: expected 3 bytes"));
  EXPECT_THAT(error_of("abc"), HasSubstr("max_token_length: expected 4 bytes"));
  EXPECT_THAT(error_of(std::string("\x1B\0\0\0", 4)), HasSubstr("tokens: expected at least 3"));

  for (const std::uint32_t length : {0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU, 5000U}) {
    std::string hostile = content;
    hostile.replace(8, 4, reinterpret_cast<const char*>(&length), 4);
    EXPECT_THAT(error_of(hostile), HasSubstr(fmt::format("tokens[0].bytes: expected {} bytes", length)));
  }
  std::string not_a_number = content;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  not_a_number.replace(4, 4, reinterpret_cast<const char*>(&nan), 4);
  EXPECT_THAT(error_of(not_a_number), EndsWith("tokens[0].score: expected a number, found NaN"));
}

TEST(TokenizerBin, TruncatedAnywhereIsAnErrorOrFewerTokens) {
  for (const bool raw_bytes : {false, true}) {
    const std::string content = file_of(small_vocabulary(raw_bytes));
    TempFile temp(content);
    for (std::size_t size = content.size() - 1; size > 0; --size) {
      temp.resize(size);
      EXPECT_THROW(read_tokenizer_bin(temp.path(), 263), std::runtime_error) << size;
      try {
        EXPECT_LT(read_tokenizer_bin(temp.path(), -1).size(), 263);
      } catch (const std::runtime_error& error) {
        EXPECT_THAT(error.what(), HasSubstr(temp.path()));
      }
    }
  }
}

TEST(TokenizerBin, AnyFlippedBitIsReadOrRefused) {
  const std::string content = file_of(small_vocabulary(false)).substr(0, 600);
  for (std::size_t bit = 0; bit < content.size() * 8; ++bit) {
    std::string flipped = content;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    const std::string error = error_of(flipped, 30);
    EXPECT_TRUE(error == "no error" || error.find(": tokens") != std::string::npos) << error;
  }
}

TEST(TokenizerBin, RealFilesOfBothGenerationsGiveTheSameVocabulary) {
  const std::string current = test::test_data("tokenizer.bin"),
                    older = test::test_data("tokenizer-raw-bytes.bin");
  LLAMAJIT_REQUIRE_FILE(current);
  LLAMAJIT_REQUIRE_FILE(older);
  const Vocab a = read_tokenizer_bin(current, 32000), b = read_tokenizer_bin(older, -1);
  ASSERT_EQ(a.size(), 32000);
  ASSERT_EQ(b.size(), 32000);
  expect_byte_pieces(a);
  expect_byte_pieces(b);
  for (TokenId id = 0; id < a.size(); ++id) {
    ASSERT_EQ(a[id].bytes, b[id].bytes) << id;
    ASSERT_EQ(a[id].score, b[id].score) << id;
    ASSERT_EQ(a.find(a[id].bytes), b.find(a[id].bytes)) << id;
  }
  EXPECT_EQ(b.find(" "), 29871);
  EXPECT_EQ(b.find("\r"), 30004);
  EXPECT_EQ(b.find("\xEA\xB0\x80"), a.find("\xEA\xB0\x80"));  // Hangul, U+AC00
  EXPECT_EQ(b.byte_piece(0xEA), 3 + 0xEA);
}

TEST(TokenizerBin, RealFileTooSmallForTheModel) {
  const std::string path = test::test_data("tok512.bin");
  LLAMAJIT_REQUIRE_FILE(path);
  const Vocab vocab = read_tokenizer_bin(path, 512);
  EXPECT_EQ(vocab.size(), 512);
  expect_byte_pieces(vocab);
  try {
    read_tokenizer_bin(path, 32000);
    FAIL() << "expected an error";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(),
                EndsWith("tok512.bin: tokens: expected 32000 (the model's vocabulary), found 512"));
  }
}

}  // namespace
}  // namespace llamajit::tokenizer_bin_test
