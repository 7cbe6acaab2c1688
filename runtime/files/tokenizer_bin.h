// llama2.c's tokenizer.bin, of both generations.
#pragma once

#include <string>

#include "tokenizer/vocab.h"

namespace llamajit {

// Layout: u32 max_token_length; then for each token f32 score, u32 length, bytes; the file does not say how
// many. The current export writes byte pieces as "<0x00>".."<0xFF>" at ids 3..258; the older one writes the
// raw bytes (0x80-0xFF as two-byte UTF-8). Told apart by content. Takes the first `vocab_size` tokens, or all
// of the file's for `vocab_size` < 0. Throws std::runtime_error that names the file, the field, what was
// expected and found.
Vocab read_tokenizer_bin(const std::string& path, int vocab_size);

}  // namespace llamajit
