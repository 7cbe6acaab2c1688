// Saved logits.
#include <array>

#include "runtime/measure/perplexity.h"
#include "runtime/measure/saved_logits.h"
#include "tests/fuzz/fuzz.h"

namespace llamajit::fuzz {
namespace {

constexpr int kVocab = 5;
constexpr Windows kWindows{.context = 4, .stride = 4};
constexpr std::array<TokenId, 9> kTokens = {1, 2, 3, 4, 0, 1, 2, 3, 4};

}  // namespace

void run(std::string_view input) {
  const InputFile file(input);
  succeeds([&] {
    SavedLogits saved(file.path(), kVocab, kWindows, kTokens);
    for (std::int64_t i = 0; i < predictions(std::ssize(kTokens), kWindows); ++i) saved.next();
    saved.check_intact();
  });
}

std::vector<std::string> seeds() {
  std::string file;
  const auto write = [&](std::span<const std::byte> bytes) {
    file.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  LogitsWriter writer(write, kVocab, kWindows, kTokens);
  for (std::int64_t i = 0; i < predictions(std::ssize(kTokens), kWindows); ++i) {
    writer.add(std::vector<float>(kVocab, 0.5F));
  }
  return {file};
}

}  // namespace llamajit::fuzz
