#include "runtime/measure/saved_logits.h"

#include <cassert>
#include <cstring>

#include <fmt/format.h>

#include "runtime/base/byte_reader.h"

namespace llamajit {
namespace {

constexpr std::string_view kMagic = "LJLOGITS";
constexpr std::uint32_t kVersion = 1;

template <class T>
void append(std::vector<std::byte>& to, const T& value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

template <class T>
void expect(const ByteReader& reader, const char* field, T expected, T found) {
  if (found != expected) reader.fail(field, fmt::to_string(expected), fmt::to_string(found));
}

}  // namespace

std::int64_t predictions(std::int64_t n_tokens, const Windows& windows) {
  if (n_tokens <= windows.context || windows.stride < windows.context) return n_tokens - 1;
  // Windows side by side: the first token of none is predicted.
  return n_tokens - jit::divide_up(n_tokens, windows.context);
}

LogitsWriter::LogitsWriter(Write write, int vocab_size, const Windows& windows,
                           std::span<const TokenId> tokens)
    : write_(std::move(write)) {
  std::vector<std::byte> header;
  for (const char c : kMagic) append(header, c);
  append(header, kVersion);
  for (const int number : {vocab_size, windows.context, windows.stride}) {
    append(header, static_cast<std::uint32_t>(number));
  }
  append(header, static_cast<std::uint64_t>(tokens.size()));
  append(header, static_cast<std::uint64_t>(predictions(std::ssize(tokens), windows)));
  write_(header);
  write_(std::as_bytes(tokens));
}

void LogitsWriter::add(std::span<const float> logits) {
  write_(std::as_bytes(logits));
}

SavedLogits::SavedLogits(const std::string& path, int vocab_size, const Windows& windows,
                         std::span<const TokenId> tokens)
    : file_(path), row_(static_cast<std::size_t>(vocab_size)) {
  ByteReader reader(file_.path(), file_.bytes());
  const auto magic = reader.take(kMagic.size(), "magic");
  if (std::memcmp(magic.data(), kMagic.data(), kMagic.size()) != 0) {
    reader.fail("magic", fmt::format("'{}'", kMagic), "another: no file of saved logits");
  }
  expect(reader, "version", kVersion, reader.u32("version"));
  const auto unsigned_of = [](int number) { return static_cast<std::uint32_t>(number); };
  expect(reader, "vocabulary", unsigned_of(vocab_size), reader.u32("vocabulary"));
  expect(reader, "context", unsigned_of(windows.context), reader.u32("context"));
  expect(reader, "stride", unsigned_of(windows.stride), reader.u32("stride"));
  expect(reader, "tokens", std::uint64_t{tokens.size()}, reader.u64("tokens"));
  const auto rows = static_cast<std::uint64_t>(predictions(std::ssize(tokens), windows));
  expect(reader, "predictions", rows, reader.u64("predictions"));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto id = reader.i32("tokens");
    if (id != tokens[i]) {
      reader.fail(fmt::format("tokens[{}]", i), fmt::format("{}, as in the text", tokens[i]),
                  fmt::to_string(id));
    }
  }
  rest_ = reader.take(reader.product({rows, row_.size(), sizeof(float)}, "logits"), "logits");
  expect(reader, "bytes behind the logits", std::uint64_t{0}, reader.remaining());
}

std::span<const float> SavedLogits::next() {
  const std::size_t bytes = row_.size() * sizeof(float);
  assert(rest_.size() >= bytes);
  std::memcpy(row_.data(), rest_.data(), bytes);  // files give no alignment
  rest_ = rest_.subspan(bytes);
  return row_;
}

}  // namespace llamajit
