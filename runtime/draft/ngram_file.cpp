#include "runtime/draft/ngram_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/base/byte_reader.h"
#include "runtime/base/fnv.h"
#include "runtime/base/mapped_file.h"

namespace llamajit {
namespace {

constexpr std::string_view kMagic = "llamajitngrams 1";

// Of all pieces, each with its length before it.
std::uint64_t hash_of(const Vocab& vocab) {
  std::uint64_t hash = kFnvBasis;
  for (TokenId id = 0; id < vocab.size(); ++id) {
    const std::string& bytes = vocab[id].bytes;
    hash = fnv1a(bytes, fnv1a(fmt::format("{} ", bytes.size()), hash));
  }
  return hash;
}

}  // namespace

void write_ngrams(std::span<const TokenId> tokens, const Vocab& vocab,
                  const std::function<void(std::span<const std::byte>)>& write) {
  write(std::as_bytes(std::span(kMagic)));
  const std::array<std::uint64_t, 2> numbers = {hash_of(vocab), tokens.size()};
  write(std::as_bytes(std::span(numbers)));
  write(std::as_bytes(tokens));
}

std::shared_ptr<const TokenHistory> read_ngrams(const std::string& path, const Vocab& vocab) {
  const MappedFile file(path);
  ByteReader reader(path, file.bytes());
  const std::string_view magic = as_text(reader.take(std::min(kMagic.size(), file.bytes().size()), "magic"));
  const std::vector<unsigned char> first(magic.begin(), magic.end());
  if (magic != kMagic)
    reader.fail("magic", fmt::format("'{}'", kMagic), fmt::format("bytes {:02x}", fmt::join(first, " ")));
  const std::uint64_t hash = reader.u64("vocabulary"), expected = hash_of(vocab);
  if (hash != expected) {
    reader.fail("vocabulary", fmt::format("the model's ({:016x})", expected),
                fmt::format("another one ({:016x})", hash));
  }
  const std::uint64_t n = reader.u64("tokens");
  if (n != reader.remaining() / sizeof(TokenId) || reader.remaining() % sizeof(TokenId) != 0) {
    reader.fail("tokens", fmt::format("as many as {} bytes hold", reader.remaining()), fmt::to_string(n));
  }
  if (n > TokenHistory::kMostTokens) {
    reader.fail("tokens", fmt::format("{} at most", TokenHistory::kMostTokens), fmt::to_string(n));
  }
  std::vector<TokenId> tokens(n);
  if (n > 0)
    std::memcpy(tokens.data(), reader.take(n * sizeof(TokenId), "tokens").data(), n * sizeof(TokenId));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || tokens[i] >= vocab.size()) {
      reader.fail({"tokens", i, "id"}, fmt::format("0 to {}", vocab.size() - 1), fmt::to_string(tokens[i]));
    }
  }
  file.check_intact();
  return std::make_shared<const TokenHistory>(tokens);
}

}  // namespace llamajit
