// Strings as Python has them: sequences of code points.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/jinja/account.h"
#include "tokenizer/utf8.h"

namespace llamajit::jinja {

// Goes through a text's characters: for (const std::string_view c : EachCharacter(text)).
class EachCharacter {
 public:
  explicit EachCharacter(std::string_view text) : text_(text) {}

  class Iterator {
   public:
    explicit Iterator(std::string_view rest) : rest_(rest), size_(first_size()) {}
    std::string_view operator*() const { return rest_.substr(0, size_); }
    Iterator& operator++() {
      rest_.remove_prefix(size_);
      size_ = first_size();
      return *this;
    }
    friend bool operator!=(const Iterator& a, const Iterator& b) { return a.rest_.size() != b.rest_.size(); }

   private:
    std::size_t first_size() const {
      if (rest_.empty()) return 0;
      return static_cast<unsigned char>(rest_[0]) < 0x80 ? 1 : utf8_length(rest_);
    }

    std::string_view rest_;
    std::size_t size_;
  };
  Iterator begin() const { return Iterator(text_); }
  Iterator end() const { return Iterator(text_.substr(text_.size())); }

 private:
  std::string_view text_;
};

std::size_t count_characters(std::string_view text);
Views characters(std::string_view text);
// Of the character at the front of `text`, which is not empty; of a byte that is none, U+FFFD.
char32_t code_point(std::string_view text);
String utf8_of(char32_t c);

// What str.isspace() holds for; str.strip() and str.split() take it for blanks.
bool is_space(char32_t c);

// Without blanks at its ends; without those of `set`.
std::string_view stripped(std::string_view text, bool left = true, bool right = true);
std::string_view stripped(std::string_view text, std::string_view set, bool left, bool right);

// Where the first, or the last, `part` begins; npos: nowhere. Their time is that of going through both once.
std::size_t found_in(std::string_view text, std::string_view part);
std::size_t last_found_in(std::string_view text, std::string_view part);
// At most `most` of them, from the left; < 0: all. `from`
// may be empty: before each character, and at the end.
String replaced(std::string_view text, std::string_view from, std::string_view to, long most);
// At most `most` splits. An empty separator: at runs of blanks.
Views split(std::string_view text, std::string_view separator, long most);
Views split_from_right(std::string_view text, std::string_view separator, long most);
// Without their ends, or with them.
Views lines_of(std::string_view text, bool with_ends = false);
// For messages: with what a terminal would obey as its number, and only the beginning of what is long.
std::string shown_text(std::string_view text);
// For HTML.
String escaped_for_html(std::string_view text);

}  // namespace llamajit::jinja
