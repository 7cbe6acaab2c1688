#include "tokenizer/bert_words.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

#include <utf8proc.h>

#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

enum class Fate { in_word, alone, dropped, ends_word };

struct Range {
  char32_t first;
  char32_t last;
};

// The blocks of ideographs. HuggingFace's list begins extension E at 2B920, not at 2B820 as BERT's own does; the
// models in use were trained with it, and llama.cpp has the same.
constexpr Range kIdeographs[] = {
    {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
    {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F},
};

bool is_ideograph(char32_t c) {
  return c >= 0x3400 &&
         std::ranges::any_of(kIdeographs, [c](Range range) { return range.first <= c && c <= range.last; });
}

utf8proc_category_t category_of(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

Fate fate_by_category(char32_t c) {
  switch (category_of(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
      return Fate::dropped;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return Fate::ends_word;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return Fate::alone;
    default:
      return is_ideograph(c) ? Fate::alone : Fate::in_word;
  }
}

Fate fate_of_ascii(char32_t c) {
  if (c == ' ' || c == '\t' || c == '\n' || c == '\r') return Fate::ends_word;
  if (c < ' ' || c == 0x7F) return Fate::dropped;
  const char32_t letter = c | 0x20;
  const bool in_word = (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9');
  return in_word ? Fate::in_word : Fate::alone;
}

Fate fate_of(char32_t c) {
  if (c < 0x80) return fate_of_ascii(c);
  return c == 0xFFFD ? Fate::dropped : fate_by_category(c);
}

class WordMaker {
 public:
  WordMaker(BertRules rules, const std::function<void(BertWord)>& use) : rules_(rules), use_(use) {}

  void add(char32_t c) {
    const Fate fate = fate_of(c);
    if (fate == Fate::dropped) return;
    if (fate == Fate::ends_word) return end_word();
    if (rules_.strip_accents && c >= 0xC0) return add_without_accents(c);
    add_as(fate, c);
  }

  void end_word() {
    if (characters_ > 0) use_({word_, characters_ > BertWord::kLongest});
    word_.clear();
    characters_ = 0;
  }

 private:
  void add_without_accents(char32_t c) {
    std::array<utf8proc_int32_t, 4> points{};
    int boundary = 0;  // of grapheme clusters, which nobody asks for
    constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE);
    const auto size = static_cast<std::size_t>(
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), points.data(),
                                static_cast<utf8proc_ssize_t>(points.size()), kOptions, &boundary));
    for (std::size_t i = 0; i < size; ++i) {
      const auto point = static_cast<char32_t>(points[i]);
      if (category_of(point) != UTF8PROC_CATEGORY_MN) add_as(fate_of(point), point);
    }
  }

  void add_as(Fate fate, char32_t c) {
    if (fate != Fate::alone) return append(c);
    end_word();
    append(c);
    end_word();
  }

  void append(char32_t c) {
    if (characters_ > BertWord::kLongest) return;
    ++characters_;
    if (characters_ > BertWord::kLongest) return;
    if (!rules_.lowercase) return append_utf8(word_, c);
    append_utf8(word_, lower(c));
    if (c == kDottedI) {
      ++characters_;
      append_utf8(word_, kDotAbove);
    }
  }

  static char32_t lower(char32_t c) {
    if (c == kDottedI) return 'i';
    return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
  }

  // The one capital whose small letter is two characters, by Unicode's SpecialCasing.
  static constexpr char32_t kDottedI = 0x130;
  static constexpr char32_t kDotAbove = 0x307;

  BertRules rules_;
  const std::function<void(BertWord)>& use_;
  std::string word_;
  int characters_ = 0;  // of the word; those beyond the first one that is too many are not counted
};

}  // namespace

void for_each_bert_word(std::string_view text, BertRules rules, const std::function<void(BertWord)>& use) {
  WordMaker words(rules, use);
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const bool is_text = length > 1 || static_cast<unsigned char>(text[0]) < 0x80;
    if (is_text) words.add(utf8_code_point(text));
    text.remove_prefix(length);
  }
  words.end_word();
}

}  // namespace llamajit
