// Unicode's normalisation form C: an accented letter is one character, however it was typed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace llamajit {

// A text in form C; nothing if it has that form already, as nearly every text. Bytes that are no UTF-8 are left
// as they are, and what is on both sides of them is not composed. The result has at most three times the bytes.
// O(n log n), O(n) but for long runs of accents without a letter.
std::optional<std::string> nfc(std::string_view text);

}  // namespace llamajit
