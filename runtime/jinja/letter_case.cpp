#include "runtime/jinja/letter_case.h"

#include <array>
#include <span>
#include <utility>

#include <utf8proc.h>

#include "runtime/jinja/text.h"

namespace llamajit::jinja {
namespace {

using Category = utf8proc_category_t;

Category category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

char32_t mapped(utf8proc_int32_t (*map)(utf8proc_int32_t), char32_t c) {
  return static_cast<char32_t>(map(static_cast<utf8proc_int32_t>(c)));
}

char32_t to_upper(char32_t c) {
  return mapped(utf8proc_toupper, c);
}
char32_t to_lower(char32_t c) {
  return mapped(utf8proc_tolower, c);
}

// Of letters, and of what else has two: circled letters, Roman numerals.
enum class Case { none, lower, upper, title };

Case case_of(char32_t c) {
  const Category of = category(c);
  if (of == UTF8PROC_CATEGORY_LT) return Case::title;
  if (of == UTF8PROC_CATEGORY_LL || to_upper(c) != c) return Case::lower;
  return of == UTF8PROC_CATEGORY_LU || to_lower(c) != c ? Case::upper : Case::none;
}

bool has_case(char32_t c) {
  return case_of(c) != Case::none;
}

// A letter without an upper case of its own whose parts have one: a ligature ("ﬁ"), or one with marks ("ǰ"). Those of
// mathematics are letters of a font, which stay as they are.
class Parts {
 public:
  explicit Parts(char32_t c) {
    const utf8proc_property_t& property = *utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
    const bool apart = property.decomp_type == 0 || property.decomp_type == UTF8PROC_DECOMP_TYPE_COMPAT;
    if (property.category != UTF8PROC_CATEGORY_LL || !apart) return;
    const utf8proc_ssize_t size = utf8proc_decompose_char(
        static_cast<utf8proc_int32_t>(c), parts_.data(), std::ssize(parts_),
        static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT), nullptr);
    if (size > 1 && size <= std::ssize(parts_)) size_ = static_cast<std::size_t>(size);
  }
  std::span<const utf8proc_int32_t> all() const { return std::span(parts_).first(size_); }

 private:
  std::array<utf8proc_int32_t, 8> parts_{};
  std::size_t size_ = 0;
};

constexpr char32_t kSharpS = 0xDF;            // "SS" in upper case, "Ss" in a title
constexpr char32_t kCapitalIWithDot = 0x130;  // an i and a dot in lower case
constexpr char32_t kSigma = 0x3A3, kFinalSigma = 0x3C2;

void add(String& out, char32_t c) {
  out += utf8_of(c);
}

void add_upper(String& out, char32_t c) {
  if (c == kSharpS) {
    out += "SS";
    return;
  }
  const char32_t upper = to_upper(c);
  const Parts parts(upper == c ? c : U'\0');
  if (parts.all().empty()) return add(out, upper);
  for (const utf8proc_int32_t part : parts.all()) add(out, to_upper(static_cast<char32_t>(part)));
}

void add_lower(String& out, char32_t c) {
  if (c == kCapitalIWithDot) add(out, U'i');
  add(out, c == kCapitalIWithDot ? U'\u0307' : to_lower(c));
}

void add_title(String& out, char32_t c) {
  if (c == kSharpS) {
    out += "Ss";
    return;
  }
  const char32_t title = mapped(utf8proc_totitle, c);
  const Parts parts(title == c ? c : U'\0');
  if (parts.all().empty()) return add(out, title);
  for (const utf8proc_int32_t& part : parts.all()) {
    const auto letter = static_cast<char32_t>(part);
    add(out, &part == parts.all().data() ? to_upper(letter) : letter);
  }
}

// What stands within a word without being a letter: marks, modifiers and some punctuation (Unicode's Case_Ignorable).
bool is_ignorable(char32_t c) {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return std::u32string_view(
                 U"'.:\u00B7\u0387\u2018\u2019\u2024\u2027\uFE13\uFE52\uFE55\uFF07\uFF0E\uFF1A")
                 .find(c) != std::u32string_view::npos;
  }
}

// Lower case, where a sigma that ends a word of several letters has another form.
class Lower {
 public:
  explicit Lower(String& out) : out_(out) {}

  void add(char32_t c) {
    const std::size_t at = out_.size();
    const bool may_be_final = c == kSigma && in_word_;
    see(c);
    add_lower(out_, c);
    if (may_be_final) sigma_at_ = at;
  }
  // Of one that is written otherwise; U' ': the end.
  void see(char32_t c) {
    if (is_ignorable(c)) return;
    in_word_ = has_case(c);
    if (sigma_at_ != String::npos && !in_word_) out_.replace(sigma_at_, 2, utf8_of(kFinalSigma));
    sigma_at_ = String::npos;
  }

 private:
  String& out_;
  bool in_word_ = false;
  std::size_t sigma_at_ = String::npos;
};

// The text of what change(lower, out, c) adds for each character. A byte that is no character stays what it is.
template <class Change>
String changed(std::string_view text, Change change) {
  String out;
  Lower lower(out);
  for (const std::string_view character : EachCharacter(text)) {
    const char32_t c = code_point(character);
    c == 0xFFFD ? static_cast<void>(out += character) : change(lower, out, c);
  }
  lower.see(U' ');
  return out;
}

// Whether some have a case, and all of those this one.
bool all_in_case(std::string_view text, Case wanted) {
  bool any = false;
  for (const std::string_view character : EachCharacter(text)) {
    const Case of = case_of(code_point(character));
    if (of == Case::none) continue;
    if (of != wanted) return false;
    any = true;
  }
  return any;
}

}  // namespace

bool is_letter(char32_t c) {
  const Category of = category(c);
  return of == UTF8PROC_CATEGORY_LU || of == UTF8PROC_CATEGORY_LL || of == UTF8PROC_CATEGORY_LT ||
         of == UTF8PROC_CATEGORY_LM || of == UTF8PROC_CATEGORY_LO;
}
bool is_digit(char32_t c) {
  return category(c) == UTF8PROC_CATEGORY_ND;
}

bool is_lower(std::string_view text) {
  return all_in_case(text, Case::lower);
}
bool is_upper(std::string_view text) {
  return all_in_case(text, Case::upper);
}

String upper(std::string_view text) {
  return changed(text, [](Lower&, String& out, char32_t c) { add_upper(out, c); });
}

String lower(std::string_view text) {
  return changed(text, [](Lower& lower, String&, char32_t c) { lower.add(c); });
}

String swapped_case(std::string_view text) {
  return changed(text, [](Lower& lower, String& out, char32_t c) {
    const Case of = case_of(c);
    if (of == Case::upper) return lower.add(c);
    lower.see(c);
    of == Case::title ? add(out, c) : add_upper(out, c);  // a title's is between the two
  });
}

String capitalized(std::string_view text) {
  return changed(text, [is_first = true](Lower& lower, String& out, char32_t c) mutable {
    if (!std::exchange(is_first, false)) return lower.add(c);
    lower.see(c);
    add_title(out, c);
  });
}

String title(std::string_view text) {
  return changed(text, [in_word = false](Lower& lower, String& out, char32_t c) mutable {
    if (std::exchange(in_word, has_case(c))) return lower.add(c);
    lower.see(c);
    add_title(out, c);
  });
}

String title_of_words(std::string_view text) {
  return changed(text, [begins = true](Lower& lower, String& out, char32_t c) mutable {
    const bool is_first = std::exchange(
        begins, is_space(c) || std::u32string_view(U"-({[<").find(c) != std::u32string_view::npos);
    if (!is_first) return lower.add(c);
    lower.see(U' ');  // what is behind it is a word of its own
    add_upper(out, c);
  });
}

}  // namespace llamajit::jinja
