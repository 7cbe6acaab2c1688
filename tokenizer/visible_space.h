// SentencePiece's vocabularies write a space as U+2581, so that pieces can be told from the text around them.
#pragma once

#include <string>
#include <string_view>

namespace llamajit {

inline constexpr std::string_view kVisibleSpace = "\xE2\x96\x81";

// A piece or a text with spaces in their place.
std::string with_spaces(std::string_view text);

}  // namespace llamajit
