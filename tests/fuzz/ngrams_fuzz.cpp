// N-gram files, and what is drafted by them.
#include "runtime/draft/ngram_file.h"
#include "runtime/draft/token_history.h"
#include "tests/fuzz/fuzz.h"

namespace llamajit::fuzz {
namespace {

const Vocab& vocab() {
  static const Vocab kVocab([] {
    std::vector<Piece> pieces{{"<unk>", 0, PieceKind::unknown}};
    for (const char* const piece : {"a", "b", "c", "d"}) pieces.push_back({piece});
    return pieces;
  }());
  return kVocab;
}

std::string written(std::span<const TokenId> tokens) {
  std::string file;
  write_ngrams(tokens, vocab(), [&](std::span<const std::byte> bytes) {
    file.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
  return file;
}

}  // namespace

// The vocabulary's hash is of eight bytes that no input would hit, so the head is given beside.
void run(std::string_view input) {
  Recipe recipe(input);
  static const std::string kHead = written({}).substr(0, 24);
  const std::string head = recipe.pick(8) == 0 ? std::string() : kHead;
  const InputFile file(head + std::string(recipe.rest()));
  succeeds([&] { read_ngrams(file.path(), vocab()); });
}

std::vector<std::string> seeds() {
  const std::vector<TokenId> tokens{1, 2, 3, 4, 1, 2, 3, 0, 1};
  const std::string file = written(tokens);
  return {std::string(1, '\0') + file, "\1" + file.substr(24)};
}

}  // namespace llamajit::fuzz
