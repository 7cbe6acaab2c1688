#include "runtime/files/special_names.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <string>

namespace llamajit {
namespace {

// Whether a piece can't be ordinary text, so that its name says what it is for.
bool is_special(const Piece& piece) {
  return piece.kind == PieceKind::control || piece.kind == PieceKind::user_defined ||
         piece.kind == PieceKind::unknown;
}

constexpr std::string_view kEndNames[] = {
    // a turn, or a text
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "<turn|>",
    "<end_of_utterance>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<eos>",
    "</s>",
    "[e~[",
    "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
    // a message to a tool, whose answer the model waits for
    "<|eom_id|>",
    "<|return|>",
    "<|call|>",
    "<|calls|>",
    "<|flush|>",
    "<|tool_response>",
    // a file of a repository: the next one would follow, or filling
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "[PAD]",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
};

// A name that means something else where both of the others are there, too.
struct Exception {
  std::string_view name;
  std::string_view beside;
  std::string_view and_beside;
};
constexpr Exception kExceptions[] = {
    // gpt-oss and Solar: a message ends, and the next may follow.
    {"<|end|>", "<|return|>", "<|call|>"},
    {"<|end|>", "<|return|>", "<|calls|>"},
    {"<|end|>", "<|flush|>", "<|call|>"},
    {"<|end|>", "<|flush|>", "<|calls|>"},
    // Gemma 4: HTML's mark of struck text.
    {"</s>", "<|tool_response>", "<|tool_response>"},
};

// The special piece of a name, -1: none.
TokenId find_special(std::span<const Piece> pieces, std::string_view name) {
  const auto found = std::ranges::find_if(
      pieces, [&](const Piece& piece) { return is_special(piece) && piece.bytes == name; });
  return found == pieces.end() ? -1 : static_cast<TokenId>(found - pieces.begin());
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  return result;
}

bool contains_any(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::ranges::any_of(
      parts, [&](std::string_view part) { return text.find(part) != std::string_view::npos; });
}

// By the name, as llama.cpp; and the family's own vocabulary, SentencePiece's, by its architecture, since names
// are given by whoever converts a file. (Phi-4 has the architecture, too, and another tokenizer.)
bool is_phi3(const ModelNames& names) {
  return contains_any(lower(names.name), {"phi-3", "phi3"}) ||
         (names.tokenizer == "llama" && (names.architecture == "phi3" || names.architecture == "phimoe"));
}

bool has_mask_that_takes_space(const ModelNames& names) {
  return contains_any(names.pre_tokenizer, {"jina-v2-de", "jina-v2-es", "jina-v2-code", "modern-bert"}) ||
         contains_any(lower(names.name), {"modern-bert"}) ||
         contains_any(names.architecture, {"nomic-bert-moe", "jina-bert-v3"});
}

}  // namespace

void find_ends(std::span<const Piece> pieces, SpecialTokens& special) {
  const TokenId eos = special.eos();  // the file's own word
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    if (!is_special(pieces[id]) || std::ranges::count(kEndNames, pieces[id].bytes) == 0) continue;
    const auto token = static_cast<TokenId>(id);
    if (std::ranges::count(special.ends, token) == 0) special.ends.push_back(token);
  }
  for (const Exception& exception : kExceptions) {
    const TokenId id = find_special(pieces, exception.name);
    const bool applies = id != eos && find_special(pieces, exception.beside) >= 0 &&
                         find_special(pieces, exception.and_beside) >= 0;
    if (applies) std::erase(special.ends, id);
  }
}

void find_takers_of_space(std::span<Piece> pieces, const ModelNames& names) {
  if (has_mask_that_takes_space(names)) {
    for (Piece& piece : pieces) {
      piece.takes_space_before = is_special(piece) && (piece.bytes == "<mask>" || piece.bytes == "[MASK]");
    }
  } else if (is_phi3(names)) {
    constexpr std::string_view kOthers[] = {"<unk>", "<s>", "<|endoftext|>"};
    for (Piece& piece : pieces) {
      piece.takes_space_after = is_special(piece) && std::ranges::count(kOthers, piece.bytes) == 0;
    }
  }
}

}  // namespace llamajit
