// Letters, and their case, as Python's strings have them (Unicode's character database; str.upper() and its kind).
#pragma once

#include <string_view>

#include "runtime/jinja/account.h"

namespace llamajit::jinja {

String upper(std::string_view text);
String lower(std::string_view text);
String swapped_case(std::string_view text);
String capitalized(std::string_view text);
// As str.title() does, where every letter behind none begins a word.
String title(std::string_view text);
// As the filter does, where words begin behind blanks, '-' and opening brackets.
String title_of_words(std::string_view text);

// What str.isalpha() and str.isdecimal() ask of each character.
bool is_letter(char32_t c);
bool is_digit(char32_t c);
// str.islower() and str.isupper(): there are letters with cases, and all of them have this one.
bool is_lower(std::string_view text);
bool is_upper(std::string_view text);

}  // namespace llamajit::jinja
