// How byte-level vocabularies (GPT-2's and its heirs)
// write bytes as text: each byte is a printable character.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace llamajit {

// The bytes that a piece of such a vocabulary stands for; nothing if it has characters that stand for none.
std::optional<std::string> bytes_of_byte_level(std::string_view piece);

}  // namespace llamajit
