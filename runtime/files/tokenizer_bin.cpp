#include "runtime/files/tokenizer_bin.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/byte_reader.h"
#include "runtime/base/mapped_file.h"
#include "runtime/files/foreign_file.h"

namespace llamajit {
namespace {

constexpr std::uint64_t kMinRecordBytes = 8;  // f32 score, u32 length, no bytes
constexpr std::size_t kMaxRecords = 1 << 24;  // the model readers' limit too
constexpr std::size_t kControlPieces = 3;     // <unk>, <s>, </s> at ids 0..2
constexpr std::size_t kFirstByteRecord = kControlPieces;
constexpr std::size_t kByteRecordsEnd = kFirstByteRecord + 256;

Piece read_piece(ByteReader& reader, std::uint64_t id) {
  Piece piece;
  piece.score = reader.f32({"tokens", id, "score"});
  if (std::isnan(piece.score)) reader.fail({"tokens", id, "score"}, "a number", "NaN");
  const std::uint32_t length = reader.u32({"tokens", id, "length"});
  // The file's max_token_length is a hint for somebody's buffer; what is left of the file is the true limit.
  const auto bytes = reader.take(length, {"tokens", id, "bytes"});
  piece.bytes.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return piece;
}

std::vector<Piece> read_pieces(ByteReader& reader, int vocab_size) {
  reader.u32("max_token_length");
  const bool all = vocab_size < 0;
  const std::size_t wanted = all ? kMaxRecords : static_cast<std::size_t>(vocab_size);
  std::vector<Piece> pieces;
  if (!all) pieces.reserve(std::min<std::size_t>(wanted, reader.remaining() / kMinRecordBytes));
  while (reader.remaining() > 0 && pieces.size() < wanted) {
    pieces.push_back(read_piece(reader, pieces.size()));
  }
  if (all && reader.remaining() > 0) {
    reader.fail("tokens", fmt::format("at most {}", kMaxRecords), "more");
  }
  // Tokens that the model does not have would be left out, and ids mean other texts than the model learnt.
  std::size_t found = pieces.size();
  for (; !all && reader.remaining() > 0; ++found) read_piece(reader, found);
  if (!all && found != wanted) {
    reader.fail("tokens", fmt::format("{} (the model's vocabulary)", wanted), fmt::to_string(found));
  }
  if (pieces.size() < kControlPieces) {
    reader.fail("tokens", "at least 3 (unknown, begin and end of text)", fmt::to_string(pieces.size()));
  }
  return pieces;
}

// A code point below 256 as UTF-8: what the older export wrote for a byte, whatever character it is part of.
std::string latin1_to_utf8(unsigned byte) {
  if (byte < 0x80) return std::string(1, static_cast<char>(byte));
  return {static_cast<char>(0xC0 | byte >> 6), static_cast<char>(0x80 | (byte & 0x3F))};
}

// The older export shows in all of the byte pieces at once; a single such piece may well be a normal one.
bool has_raw_bytes(const std::vector<Piece>& pieces) {
  const std::size_t end = std::min(pieces.size(), kByteRecordsEnd);
  for (std::size_t id = kFirstByteRecord; id < end; ++id) {
    if (pieces[id].bytes != latin1_to_utf8(static_cast<unsigned>(id - kFirstByteRecord))) return false;
  }
  return true;
}

// Sets the kinds of the pieces that are not text, and gives byte pieces their byte.
void mark_special_pieces(std::vector<Piece>& pieces) {
  for (std::size_t id = 0; id < kControlPieces; ++id) pieces[id].kind = PieceKind::control;
  const bool raw_bytes = has_raw_bytes(pieces);
  const std::size_t end = std::min(pieces.size(), kByteRecordsEnd);
  for (std::size_t id = kFirstByteRecord; id < end; ++id) {
    Piece& piece = pieces[id];
    const auto byte = raw_bytes ? static_cast<char>(id - kFirstByteRecord) : parse_byte_piece(piece.bytes);
    if (!byte) continue;
    piece.bytes.assign(1, *byte);
    piece.kind = PieceKind::byte;
  }
}

}  // namespace

Vocab read_tokenizer_bin(const std::string& path, int vocab_size) {
  const MappedFile file(path);
  if (const auto foreign = describe_foreign_file(file.bytes(), WantedFile::tokenizer)) {
    ByteReader(path, file.bytes()).fail("content", "llama2.c's tokenizer.bin", *foreign);
  }
  ByteReader reader(path, file.bytes());
  std::vector<Piece> pieces = read_pieces(reader, vocab_size);
  file.check_intact();
  mark_special_pieces(pieces);
  return Vocab(std::move(pieces));
}

}  // namespace llamajit
