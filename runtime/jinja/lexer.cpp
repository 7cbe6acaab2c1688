#include "runtime/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "runtime/jinja/text.h"
#include "tokenizer/utf8.h"

namespace llamajit::jinja {
namespace {

constexpr std::size_t kMaxSource = std::size_t{1} << 20;

bool is_ascii_digit(char c) {
  return c >= '0' && c <= '9';
}

// Bytes beyond ASCII may be parts of names.
bool begins_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

std::string with_plain_newlines(std::string_view source) {
  std::string out;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 < source.size() && source[i + 1] == '\n') continue;
      out += '\n';
    } else {
      out += source[i];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  Lexer(std::string_view source, const std::string& name) : name_(name) {
    if (source.size() > kMaxSource) {
      fail("size", fmt::format("at most {} bytes", kMaxSource), fmt::to_string(source.size()));
    }
    source_ = with_plain_newlines(source);
  }

  std::vector<Token> tokenize() {
    while (at_ < source_.size()) next_tag();
    add(Token::Kind::end, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(std::string_view what, std::string_view expected, std::string_view found) const {
    throw std::runtime_error(
        fmt::format("{}: line {}: {}: expected {}, found {}", name_, line_, what, expected, found));
  }

  void add(Token::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }
  std::string_view rest() const { return std::string_view(source_).substr(at_); }
  void advance(std::size_t n) {
    const std::string_view skipped = rest().substr(0, n);
    line_ += static_cast<int>(std::ranges::count(skipped, '\n'));
    if (!skipped.empty()) line_begins_ = skipped.back() == '\n';
    at_ += skipped.size();
  }
  void skip_blanks() { advance(rest().size() - stripped(rest(), true, false).size()); }

  // Where the next tag begins, or the template's end.
  std::size_t find_tag() const {
    for (std::size_t begin = at_; (begin = source_.find('{', begin)) != std::string::npos; ++begin) {
      const char sign = begin + 1 < source_.size() ? source_[begin + 1] : ' ';
      if (sign == '{' || sign == '%' || sign == '#') return begin;
    }
    return source_.size();
  }

  // The text up to the next tag, and that tag.
  void next_tag() {
    const std::size_t begin = find_tag();
    std::string_view text = rest().substr(0, begin - at_);
    const bool starts_line = line_begins_;
    const std::string_view tag = std::string_view(source_).substr(begin);
    const char sign = tag.size() > 2 ? tag[2] : ' ';
    std::string_view kept = text;
    if (sign == '-' && !tag.empty()) {
      kept = stripped(kept, false, true);
    } else if (sign != '+' && !tag.empty() && tag[1] != '{') {
      kept = without_indentation(kept, starts_line);
    }
    if (!kept.empty()) add(Token::Kind::text, std::string(kept));
    advance(text.size());
    if (tag.empty()) return;
    const bool signed_tag = sign == '-' || (sign == '+' && tag[1] != '{');
    advance(signed_tag ? 3 : 2);
    if (tag[1] == '#') return skip_comment();
    if (tag[1] == '%' && is_raw()) return raw_text();
    expression(tag[1] == '{');
  }

  static std::string_view without_indentation(std::string_view text, bool starts_line) {
    const std::size_t newline = text.rfind('\n');
    if (newline == std::string_view::npos && !starts_line) return text;
    const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    return stripped(text.substr(line)).empty() ? text.substr(0, line) : text;
  }

  // Behind the end of a block: its newline, or with a minus all blanks, are part of it.
  void end_of_block(char sign) {
    line_begins_ = false;
    if (sign == '-') {
      skip_blanks();
    } else if (sign != '+' && rest().starts_with('\n')) {
      advance(1);
    }
  }

  void skip_comment() {
    const std::size_t end = rest().find("#}");
    if (end == std::string_view::npos) fail("comment", "its end, '#}'", "the template's");
    const char sign = end > 0 ? rest()[end - 1] : ' ';
    advance(end + 2);
    end_of_block(sign);
  }

  // {% raw %}, up to whose end everything is text.
  bool is_raw() const {
    std::string_view tag = stripped(rest(), true, false);
    if (!tag.starts_with("raw")) return false;
    tag = stripped(tag.substr(3), true, false);
    return tag.starts_with("%}") || tag.starts_with("-%}");
  }

  static bool is_end_of_raw(std::string_view tag) {
    tag = stripped(tag, true, false);
    if (!tag.starts_with("endraw")) return false;
    tag = stripped(tag.substr(6), true, false);
    return tag.starts_with("%}") || tag.starts_with("-%}") || tag.starts_with("+%}");
  }

  void raw_text() {
    const std::size_t tag_end = rest().find("%}");
    const char sign = rest()[tag_end - 1];
    advance(tag_end + 2);
    end_of_block(sign == '-' ? '-' : '+');  // the newline behind it is part of the text
    for (std::size_t end = 0;; ++end) {
      end = rest().find("{%", end);
      if (end == std::string_view::npos) fail("raw", "{% endraw %}", "the template's end");
      std::string_view tag = rest().substr(end + 2);
      const char begin_sign = tag.empty() ? ' ' : tag[0];
      if (begin_sign == '-' || begin_sign == '+') tag.remove_prefix(1);
      if (!is_end_of_raw(tag)) continue;
      std::string_view text = rest().substr(0, end);
      if (begin_sign == '-') {
        text = stripped(text, false, true);
      } else if (begin_sign != '+') {
        text = without_indentation(text, line_begins_);
      }
      if (!text.empty()) add(Token::Kind::text, std::string(text));
      const std::size_t close = rest().find("%}", end);
      const char close_sign = rest()[close - 1];
      advance(close + 2);
      return end_of_block(close_sign);
    }
  }

  // The tokens of a tag, its end included. Within brackets, '}}' closes two of them.
  void expression(bool print) {
    add(print ? Token::Kind::print_begin : Token::Kind::block_begin, "");
    const std::string_view close = print ? "}}" : "%}";
    int brackets = 0;
    for (;;) {
      skip_blanks();
      const std::string_view ahead = rest();
      if (ahead.empty()) fail("tag", fmt::format("its end, '{}'", close), "the template's");
      const bool is_signed = ahead[0] == '-' || (ahead[0] == '+' && !print);
      if (brackets == 0 && (ahead.starts_with(close) || (is_signed && ahead.substr(1).starts_with(close)))) {
        add(print ? Token::Kind::print_end : Token::Kind::block_end, "");
        const char sign = is_signed ? ahead[0] : print ? '+' : ' ';
        advance(is_signed ? 3 : 2);
        return end_of_block(sign);
      }
      if (std::string_view("([{").find(ahead[0]) != std::string_view::npos) ++brackets;
      if (std::string_view(")]}").find(ahead[0]) != std::string_view::npos) --brackets;
      token();
    }
  }

  void token() {
    const char c = rest()[0];
    if (c == '\'' || c == '"') return string(c);
    if (is_ascii_digit(c)) return number();
    if (begins_name(c)) {
      std::size_t end = 0;
      const auto ahead = [&] { return rest().substr(end); };
      while (!ahead().empty() && (begins_name(ahead()[0]) || is_ascii_digit(ahead()[0])) &&
             !is_space(code_point(ahead()))) {
        end += utf8_length(ahead());
      }
      return take(Token::Kind::name, end);
    }
    constexpr std::array<std::string_view, 6> kPairs = {"==", "!=", "<=", ">=", "//", "**"};
    for (const std::string_view pair : kPairs) {
      if (rest().starts_with(pair)) return take(Token::Kind::symbol, 2);
    }
    if (std::string_view("+-*/%~<>=.:|,;()[]{}").find(c) == std::string_view::npos) {
      fail("expression", "an operator, a name or a value", fmt::format("'{}'", escaped({&c, 1})));
    }
    take(Token::Kind::symbol, 1);
  }

  void take(Token::Kind kind, std::size_t n) {
    add(kind, std::string(rest().substr(0, n)));
    advance(n);
  }

  // 0x, 0o and 0b; false where there is none.
  bool number_of_other_base() {
    const std::string_view text = rest();
    const std::string_view digits = text.size() < 3 || text[0] != '0'  ? ""
                                    : text[1] == 'x' || text[1] == 'X' ? "_0123456789abcdefABCDEF"
                                    : text[1] == 'o' || text[1] == 'O' ? "_01234567"
                                    : text[1] == 'b' || text[1] == 'B' ? "_01"
                                                                       : "";
    if (digits.empty() || digits.find(text[2]) == std::string_view::npos) return false;
    const std::size_t n = std::min(text.find_first_not_of(digits, 2), text.size());
    std::string written(text.substr(0, n));
    std::erase(written, '_');
    add(Token::Kind::integer, std::move(written));
    advance(n);
    return true;
  }

  void number() {
    if (number_of_other_base()) return;
    const std::string_view text = rest();
    std::size_t n = 0;
    const auto digits = [&] {
      while (n < text.size() && (is_ascii_digit(text[n]) || text[n] == '_')) ++n;
    };
    digits();
    bool fraction = false;
    if (n + 1 < text.size() && text[n] == '.' && is_ascii_digit(text[n + 1])) {
      fraction = true;
      ++n;
      digits();
    }
    if (n < text.size() && (text[n] == 'e' || text[n] == 'E')) {
      const std::size_t exponent =
          n + 1 < text.size() && (text[n + 1] == '+' || text[n + 1] == '-') ? n + 2 : n + 1;
      if (exponent < text.size() && is_ascii_digit(text[exponent])) {
        fraction = true;
        n = exponent;
        digits();
      }
    }
    std::string written(text.substr(0, n));
    std::erase(written, '_');
    add(fraction ? Token::Kind::number : Token::Kind::integer, std::move(written));
    advance(n);
  }

  void string(char quote) {
    std::string out;
    std::size_t i = 1;
    const std::string_view text = rest();
    while (i < text.size() && text[i] != quote) {
      if (text[i] == '\\' && i + 1 < text.size()) {
        i = escape(text, i + 1, out);
      } else {
        out += text[i++];
      }
    }
    if (i >= text.size()) fail("string", fmt::format("its end, {}", quote), "the template's");
    add(Token::Kind::string, std::move(out));
    advance(i + 1);
  }

  // The escape whose letter is at `i`; returns where it ends. An unknown one is what is written.
  std::size_t escape(std::string_view text, std::size_t i, std::string& out) const {
    constexpr std::string_view kLetters = "ntrabfv\\'\"";
    constexpr std::string_view kMeanings = "\n\t\r\a\b\f\v\\'\"";
    const std::size_t known = kLetters.find(text[i]);
    if (known != std::string_view::npos) {
      out += kMeanings[known];
      return i + 1;
    }
    if (text[i] == '\n') return i + 1;
    if (text[i] >= '0' && text[i] <= '7') {
      char32_t code = 0;
      const std::size_t end = std::min(i + 3, text.size());
      for (; i < end && text[i] >= '0' && text[i] <= '7'; ++i)
        code = code * 8 + static_cast<char32_t>(text[i] - '0');
      out += utf8_of(code);
      return i;
    }
    const std::size_t digits = text[i] == 'x' ? 2 : text[i] == 'u' ? 4 : text[i] == 'U' ? 8 : 0;
    if (digits == 0) {
      out += {'\\', text[i]};
      return i + 1;
    }
    std::uint32_t code = 0;
    for (std::size_t d = 1; d <= digits; ++d) {
      const std::size_t value = i + d < text.size()
                                    ? std::string_view("0123456789abcdefABCDEF").find(text[i + d])
                                    : std::string::npos;
      if (value == std::string_view::npos)
        fail("string", fmt::format("{} hexadecimal digits", digits), "others");
      code = code << 4 | static_cast<std::uint32_t>(value < 16 ? value : value - 6);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
      fail("string", "a character of Unicode", fmt::format("U+{:X}", code));
    }
    out += utf8_of(code);
    return i + digits + 1;
  }

  const std::string& name_;
  std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_begins_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize_template(std::string_view source, const std::string& name) {
  return Lexer(source, name).tokenize();
}

}  // namespace llamajit::jinja
