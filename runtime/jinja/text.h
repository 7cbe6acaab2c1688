// Strings as Python has them: sequences of code points. Letters outside of ASCII have no case here.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace llamajit::jinja {

std::size_t count_characters(std::string_view text);
std::vector<std::string_view> characters(std::string_view text);

// str.strip() without arguments takes these away, in ASCII.
inline constexpr std::string_view kSpace = " \t\n\v\f\r\x1C\x1D\x1E\x1F";

// Without those of `set` at its ends.
std::string_view stripped(std::string_view text, std::string_view set, bool left, bool right);
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalized(std::string_view text);
std::string title(std::string_view text);
// At most `most` of them, from the left; < 0: all. `from`
// may be empty: before each character, and at the end.
std::string replaced(std::string_view text, std::string_view from, std::string_view to, long most);
// At most `most` splits. An empty separator: at runs of blanks.
std::vector<std::string_view> split(std::string_view text, std::string_view separator, long most);
std::vector<std::string_view> split_from_right(std::string_view text, std::string_view separator, long most);
std::vector<std::string_view> lines_of(std::string_view text);

}  // namespace llamajit::jinja
