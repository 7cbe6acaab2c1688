// UTF-8 on a stream: never a split character.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace llamajit {

// The length in bytes of the code point at the front of `text` (1 to 4), or 1 where the bytes there are no
// well-formed UTF-8 (Unicode 15, table 3-7). `text` is not empty.
std::size_t utf8_length(std::string_view text);

// The length in bytes of the well-formed UTF-8 that `text` begins with, and of the bytes there that are none.
std::size_t utf8_well_formed(std::string_view text);
std::size_t utf8_ill_formed(std::string_view text);

// The code point that well-formed text begins with, and a code point's bytes behind those of `text`.
char32_t utf8_code_point(std::string_view text);
void append_utf8(std::string& text, char32_t code_point);

// What is left of a text without the white space (Unicode's White_Space) at its beginning, and at its end.
std::string_view without_leading_space(std::string_view text);
std::string_view without_trailing_space(std::string_view text);

// Bytes for a person to see: printable characters as they are, everything else, and backslashes, escaped.
std::string escaped(std::string_view bytes);

// Collects bytes as tokens deliver them and gives back whole characters. Bytes that can't become a character
// are passed through as they are, so that nothing is ever lost.
class Utf8Stream {
 public:
  // Adds bytes; returns everything that is complete by now.
  std::string push(std::string_view bytes);
  // Returns what is still held back at the end of the stream.
  std::string finish();

 private:
  std::string pending_;  // at most 3 bytes: the beginning of a character
};

}  // namespace llamajit
