// Strings as Python has them: sequences of code points.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace llamajit::jinja {

std::size_t count_characters(std::string_view text);
std::vector<std::string_view> characters(std::string_view text);
// Of the character at the front of `text`, which is not empty; of a byte that is none, U+FFFD.
char32_t code_point(std::string_view text);
std::string utf8_of(char32_t c);

// What str.isspace() holds for; str.strip() and str.split() take it for blanks.
bool is_space(char32_t c);

// Without blanks at its ends; without those of `set`.
std::string_view stripped(std::string_view text, bool left = true, bool right = true);
std::string_view stripped(std::string_view text, std::string_view set, bool left, bool right);
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string swapped_case(std::string_view text);
std::string capitalized(std::string_view text);
// As str.title() does, where every letter behind none begins a word.
std::string title(std::string_view text);
// As the filter does, where words begin behind blanks, '-' and opening brackets.
std::string title_of_words(std::string_view text);
// Of letters and digits, as str.isalpha() and str.isdigit() have them.
bool is_letter(char32_t c);
bool is_digit(char32_t c);
bool is_lower(char32_t c);
bool is_upper(char32_t c);

// At most `most` of them, from the left; < 0: all. `from`
// may be empty: before each character, and at the end.
std::string replaced(std::string_view text, std::string_view from, std::string_view to, long most);
// At most `most` splits. An empty separator: at runs of blanks.
std::vector<std::string_view> split(std::string_view text, std::string_view separator, long most);
std::vector<std::string_view> split_from_right(std::string_view text, std::string_view separator, long most);
// Without their ends, or with them.
std::vector<std::string_view> lines_of(std::string_view text, bool with_ends = false);
// For HTML.
std::string escaped_for_html(std::string_view text);

}  // namespace llamajit::jinja
