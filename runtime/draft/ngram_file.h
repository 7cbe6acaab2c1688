// A text's tokens in a file, for drafts of other texts: what came behind some tokens there may come behind them again.
//
//   "llamajit" "ngrams 1"     16 bytes
//   u64 hash of the vocabulary
//   u64 n
//   n x i32 tokens
//
// all little-endian.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "runtime/draft/token_history.h"

namespace llamajit {

void write_ngrams(std::span<const TokenId> tokens, const Vocab& vocab,
                  const std::function<void(std::span<const std::byte>)>& write);
// Throws std::runtime_error that names the file, the field, what was expected and what was found: for another
// vocabulary, too.
std::shared_ptr<const TokenHistory> read_ngrams(const std::string& path, const Vocab& vocab);

}  // namespace llamajit
