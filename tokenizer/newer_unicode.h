// Characters that are newer than the tables of the regular expressions' library.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace llamajit {

// A well-formed text with an older character in the place of each that came with Unicode 15 to 17: one of the
// same general category and length in bytes, which the pre-tokenizers' expressions take for the same. Nothing
// for a text without such characters, which is nearly every one. O(n).
//
// PCRE2 10.42 has the tables of Unicode 14. To it the others are no letters and no symbols, so that it would
// cut a text at other places than the models' own tokenizers.
std::optional<std::string> with_older_characters(std::string_view text);

}  // namespace llamajit
