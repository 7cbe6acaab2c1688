#include "runtime/files/foreign_file.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <string_view>

#include <fmt/format.h>

#include "runtime/base/byte_reader.h"
#include "runtime/files/llama2c.h"
#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kSavedPage =
    "a site's page or answer was saved instead of the file; download the file itself";
constexpr std::string_view kConvert =
    "convert it to GGUF (llama.cpp's convert_hf_to_gguf.py takes its whole folder)";
constexpr std::string_view kUnpack = "unpack it, and name the file inside";
constexpr std::string_view kOldGgml =
    "one of ggml's formats from before GGUF; convert it (llama.cpp's convert_llama_ggml_to_gguf.py), or get "
    "the model as GGUF";
constexpr std::string_view kNoModel = "it holds no model";

// Bytes at an offset that every file of a kind has.
struct Signature {
  std::size_t offset;
  std::string_view bytes;
  std::string_view kind;
  std::string_view advice;
};
constexpr Signature kSignatures[] = {
    {0, "\x89PNG\r\n"sv, "a picture (PNG)", kNoModel},
    {0, "\xFF\xD8\xFF"sv, "a picture (JPEG)", kNoModel},
    {0, "GIF8"sv, "a picture (GIF)", kNoModel},
    {8, "WEBP"sv, "a picture (WebP)", kNoModel},
    {0, "%PDF-"sv, "a document (PDF)", kNoModel},
    {0, "ID3"sv, "music (MP3)", kNoModel},
    {0, "OggS"sv, "sound (Ogg)", kNoModel},
    {0, "SQLite format 3"sv, "a database (SQLite)", kNoModel},
    {0, "PK\x03\x04"sv, "a zip archive, such as PyTorch's checkpoints",
     "unpack it if a model lies inside; convert a checkpoint to GGUF (llama.cpp's convert_hf_to_gguf.py)"},
    {0, "PK\x05\x06"sv, "an empty zip archive", kNoModel},
    {0, "\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19"sv, "a PyTorch checkpoint", kConvert},
    // Two bytes alone would be the width of a checkpoint, 640 or 896.
    {0, "\x80\x02}"sv, "a Python pickle", kConvert},
    {0, "\x80\x02]"sv, "a Python pickle", kConvert},
    {0, "\x80\x02\x63"sv, "a Python pickle", kConvert},
    {0, "\x80\x03}"sv, "a Python pickle", kConvert},
    {0, "\x80\x04\x95"sv, "a Python pickle", kConvert},
    {0, "\x93NUMPY"sv, "an array of NumPy's", kConvert},
    {0, "\x89HDF\r\n"sv, "an HDF5 file, such as Keras writes", kConvert},
    {4, "TFL3"sv, "a TensorFlow Lite model",
     "only llama models in GGUF, llama2.c and ggml's first format run"},
    {0, "7z\xBC\xAF\x27\x1C"sv, "a 7-Zip archive", kUnpack},
    {0, "\x1F\x8B\x08"sv, "a file that gzip compressed", kUnpack},
    {0, "BZh"sv, "a file that bzip2 compressed", kUnpack},
    {0, "\xFD\x37zXZ\0"sv, "a file that xz compressed", kUnpack},
    {0, "\x28\xB5\x2F\xFD"sv, "a file that zstd compressed", kUnpack},
    {0, "\x04\x22\x4D\x18"sv, "a file that lz4 compressed", kUnpack},
    {0, "Rar!\x1A\x07"sv, "a RAR archive", kUnpack},
    {257, "ustar"sv, "a tar archive", kUnpack},
    {0, "\x7F\x45LF"sv, "a program (ELF)", kNoModel},
    {0, "MZqFpD"sv, "a llamafile", "it is a zip archive, too: unpack the GGUF file inside"},
    {0, "MZ\x90"sv, "a program for Windows", kNoModel},
    {0, "tjgg"sv, "a ggjt file", kOldGgml},
    {0, "fmgg"sv, "a ggmf file", kOldGgml},
    {0, "algg"sv, "an adapter (ggla)", "adapters are not read; merge it into its model"},
    {0, "FUGG"sv, "a GGUF file with its bytes reversed", "get the little-endian one"},
    {0, "version https://git-lfs"sv, "a pointer of Git LFS, not the file itself",
     "run git lfs pull in its repository, or download the file"},
};

std::string_view without_blanks(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // a byte order mark
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  return text;
}

bool begins_with_any_case(std::string_view text, std::string_view begin) {
  return text.size() >= begin.size() &&
         std::equal(begin.begin(), begin.end(), text.begin(), [](char a, char b) {
           return a == static_cast<char>(std::tolower(static_cast<unsigned char>(b)));
         });
}

// Whether all that is looked at is text; its last character may be cut off.
bool is_text(std::string_view text) {
  constexpr std::size_t kCutOff = 3;
  return utf8_well_formed(text) + kCutOff >= text.size() && std::ranges::all_of(text, [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return byte >= 0x20 ? byte != 0x7F : c == '\n' || c == '\r' || c == '\t' || c == '\f';
         });
}

// The header's size in eight bytes, then the header, which is JSON.
bool is_safetensors(std::string_view head, std::size_t size) {
  if (head.size() < 10 || head[8] != '{') return false;
  std::uint64_t header = 0;
  for (std::size_t i = 8; i-- > 0;) header = header << 8 | static_cast<unsigned char>(head[i]);
  return header >= 2 && header <= size - 8 && without_blanks(head.substr(9)).find_first_of("\"}") == 0;
}

// A protocol buffer whose first field is a piece: its length, the piece and its score. sentencepiece.
bool is_sentencepiece(std::string_view head) {
  return head.size() > 20 && head.starts_with('\x0A') && head[2] == '\x0A' && head[1] > head[3] &&
         head[3] > 0 && is_text(head.substr(4, static_cast<std::size_t>(head[3])));
}

// Text in a file: a page, JSON, an answer of a server.
std::optional<std::string> describe_text(std::string_view head, WantedFile wanted) {
  const std::string_view text = without_blanks(head);
  constexpr std::array<std::string_view, 5> kHtml = {"<!doctype", "<html", "<head", "<body", "<!--"};
  const auto begins = [&](std::string_view begin) { return begins_with_any_case(text, begin); };
  if (std::ranges::any_of(kHtml, begins)) return fmt::format("a web page (HTML); {}", kSavedPage);
  if (begins("<?xml")) return fmt::format("XML; {}", kSavedPage);
  if (text.starts_with('{') || text.starts_with('[')) {
    if (wanted == WantedFile::tokenizer) {
      return "JSON, such as a tokenizer.json; -z takes llama2.c's tokenizer.bin, and a GGUF file needs none";
    }
    return "JSON; a configuration or an index, or a site's answer in place of the file";
  }
  constexpr std::size_t kShown = 40;
  std::string_view line = text.substr(0, std::min(text.find_first_of("\r\n"), text.size()));
  const bool whole = line.size() <= kShown;
  if (!whole) line = line.substr(0, line.find_last_of(' ', kShown));  // between words, and characters
  return fmt::format("text that begins '{}{}'; {}",
                     line.substr(0, utf8_well_formed(line.substr(0, 2 * kShown))), whole ? "" : " …",
                     kSavedPage);
}

}  // namespace

std::optional<std::string> describe_foreign_file(std::span<const std::byte> bytes, WantedFile wanted) {
  constexpr std::size_t kLookedAt = 512;
  const std::string_view head = as_text(bytes.first(std::min(bytes.size(), kLookedAt)));
  for (const Signature& signature : kSignatures) {
    if (head.size() >= signature.offset && head.substr(signature.offset).starts_with(signature.bytes)) {
      return fmt::format("{}; {}", signature.kind, signature.advice);
    }
  }
  if (is_safetensors(head, bytes.size())) return fmt::format("a safetensors file; {}", kConvert);
  if (is_sentencepiece(head)) {
    return "sentencepiece's tokenizer.model; -z takes llama2.c's tokenizer.bin, which its tokenizer.py makes "
           "of that";
  }
  if (wanted == WantedFile::tokenizer && (head.starts_with("GGUF") || head.starts_with("lmgg"))) {
    return "a model; -z takes llama2.c's tokenizer.bin, and what this file has inside needs no -z";
  }
  if (wanted == WantedFile::tokenizer && looks_like_llama2c(bytes)) {
    return "a model; -z takes a tokenizer, llama2.c's tokenizer.bin";
  }
  constexpr std::size_t kLeastText = 4;
  if (bytes.size() >= kLeastText && is_text(head)) return describe_text(head, wanted);
  if (bytes.size() >= 64 && std::ranges::all_of(head, [](char c) { return c == '\0'; })) {
    return "zeros where a file begins; its download did not finish";
  }
  return std::nullopt;
}

}  // namespace llamajit
