// The tokenizer that a GGUF file has inside.
#pragma once

#include <memory>

#include "runtime/files/gguf.h"
#include "tokenizer/tokenizer.h"

namespace llamajit {

// Reads tokenizers of the kinds `llama` (SentencePiece-style BPE), `gpt2` (byte-level BPE), `bert` (WordPiece) and
// `t5` (SentencePiece's unigram model). The result does not point into the file. Throws std::runtime_error
// that names the file, the key, what was expected and what was found.
std::unique_ptr<Tokenizer> read_gguf_tokenizer(const GgufFile& file);

}  // namespace llamajit
