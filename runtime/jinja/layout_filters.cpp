// Filters that lay text out in lines, as Python's textwrap and pprint do.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "runtime/jinja/call.h"
#include "runtime/jinja/letter_case.h"
#include "runtime/jinja/text.h"
#include "tokenizer/utf8.h"

namespace llamajit::jinja {
namespace {

// A line's characters, cut into pieces between which it may be broken: blanks, words, and at hyphens parts of words.
class Pieces {
 public:
  struct Piece {
    std::size_t begin, end;
    std::size_t size() const { return end - begin; }
  };

  Pieces(std::string_view line, bool at_hyphens) : all_(characters(line)) {
    while (at_ < all_.size()) {
      const std::size_t begin = at_;
      at_ = is_blank(at_) ? end_of_blanks() : at_hyphens ? end_of_part() : end_of_word();
      pieces_.push_back({begin, at_});
    }
  }

  std::vector<Piece>& pieces() { return pieces_; }
  std::string_view text(const Piece& piece) const {
    if (piece.size() == 0) return {};
    const std::string_view last = all_[piece.end - 1];
    return {all_[piece.begin].data(), last.data() + last.size()};
  }
  // Where the piece is to end so that at most `room` of its characters remain: behind the last hyphen within, if
  // others than hyphens stand before that.
  std::size_t cut(const Piece& piece, std::size_t room, bool at_hyphens) const {
    const std::size_t end = piece.begin + std::min(room, piece.size());
    if (!at_hyphens || end == piece.end) return end;
    std::size_t hyphen = end;
    while (hyphen > piece.begin && all_[hyphen - 1] != "-") --hyphen;
    std::size_t before = hyphen;
    while (before > piece.begin && all_[before - 1] == "-") --before;
    return before > piece.begin ? hyphen : end;
  }

 private:
  // Other blanks than these keep words together.
  bool is_blank(std::size_t i) const {
    return all_[i].size() == 1 && std::string_view("\t\n\v\f\r ").find(all_[i]) != std::string_view::npos;
  }
  bool is_hyphen(std::size_t i) const { return i < all_.size() && all_[i] == "-"; }
  bool is_part_of_word(std::size_t i) const {
    return i < all_.size() && (is_letter_at(i) || is_digit(code_point(all_[i])));
  }
  bool is_letter_at(std::size_t i) const {
    return i < all_.size() && (is_letter(code_point(all_[i])) || all_[i] == "_");
  }
  std::size_t end_of_blanks() const {
    std::size_t end = at_;
    while (end < all_.size() && is_blank(end)) ++end;
    return end;
  }
  std::size_t end_of_word() const {
    std::size_t end = at_;
    while (end < all_.size() && !is_blank(end)) ++end;
    return end;
  }

  // Where a dash of several hyphens ends that begins at `i`, between what stands close to it; 0: there is none.
  std::size_t end_of_dash(std::size_t i) const {
    const bool follows =
        i > 0 && (is_part_of_word(i - 1) ||
                  (all_[i - 1].size() == 1 &&
                   std::string_view("!\"'&.,?").find(all_[i - 1]) != std::string_view::npos));
    if (!follows || !is_hyphen(i) || !is_hyphen(i + 1)) return 0;
    std::size_t end = i;
    while (is_hyphen(end)) ++end;
    return is_part_of_word(end) ? end : 0;
  }

  // Whether a word is broken behind the hyphen at `i`: letters stand before and behind it.
  bool breaks_behind(std::size_t i) const {
    if (!is_hyphen(i) || i < 2 || !is_letter_at(i - 1)) return false;
    const bool before = is_letter_at(i - 2) || (i > 2 && is_hyphen(i - 2) && is_letter_at(i - 3));
    const bool behind =
        is_letter_at(i + 1) && (is_letter_at(i + 2) || (is_hyphen(i + 2) && is_letter_at(i + 3)));
    return before && behind;
  }

  std::size_t end_of_part() const {
    if (const std::size_t dash = end_of_dash(at_)) return dash;
    for (std::size_t i = at_ + 1; i < all_.size() && !is_blank(i); ++i) {
      if (breaks_behind(i)) return i + 1;
      if (end_of_dash(i) != 0) return i;
    }
    return end_of_word();
  }

  Views all_;
  std::vector<Piece> pieces_;
  std::size_t at_ = 0;
};

struct Wrapping {
  std::size_t width;
  bool break_long_words;
  bool at_hyphens;
};

// The lines of at most so many characters that one line becomes. Blanks at their ends are dropped, but those at the
// front of the first.
std::vector<String> wrapped(std::string_view line, const Wrapping& how) {
  Pieces cut(line, how.at_hyphens);
  auto& pieces = cut.pieces();
  std::ranges::reverse(pieces);  // the next one is the last
  std::vector<String> lines;
  const auto is_dropped = [&](const auto& piece) { return stripped(cut.text(piece)).empty(); };
  while (!pieces.empty()) {
    if (!lines.empty() && is_dropped(pieces.back())) pieces.pop_back();
    std::vector<Pieces::Piece> taken;
    std::size_t size = 0;
    for (; !pieces.empty() && size + pieces.back().size() <= how.width; pieces.pop_back()) {
      taken.push_back(pieces.back());
      size += taken.back().size();
    }
    if (!pieces.empty() && pieces.back().size() > how.width) {
      auto& longest = pieces.back();
      if (how.break_long_words) {
        const std::size_t end = cut.cut(longest, how.width - size, how.at_hyphens);
        taken.push_back({longest.begin, end});
        longest.begin = end;
      } else if (taken.empty()) {
        taken.push_back(longest);
        pieces.pop_back();
      }
    }
    if (!taken.empty() && is_dropped(taken.back())) taken.pop_back();
    if (taken.empty()) continue;
    lines.emplace_back(cut.text({taken.front().begin, taken.back().end}));
  }
  return lines;
}

// Each line of the text by itself.
Value word_wrap(const Call& call, const Value& value) {
  if (value.text() == nullptr) call.fail("a string", value);
  const std::int64_t width = call.integer(0, "width", 79);
  if (width < 1) call.execution.fail("wordwrap", "a width of at least 1", fmt::to_string(width));
  const String* const given = call.text(2, "wrapstring");
  const String between = given != nullptr ? *given : "\n";
  const Wrapping how{static_cast<std::size_t>(width), call.truth(1, "break_long_words", true),
                     call.truth(3, "break_on_hyphens", true)};
  call.execution.allocate(value.text()->size() * (sizeof(std::string_view) + sizeof(Pieces::Piece)));
  String out;
  bool first = true;
  for (const std::string_view line : lines_of(*value.text())) {
    if (!std::exchange(first, false)) out += between;
    bool begins = true;
    for (const String& part : wrapped(line, how)) {
      if (!std::exchange(begins, false)) out += between;
      out += part;
      call.execution.check_output(out.size());
    }
  }
  return call.execution.text(std::move(out));
}

// Values as pprint.pformat() writes them: dictionaries sorted, and what is wider than 80 characters in lines.
class PrettyWriter {
 public:
  explicit PrettyWriter(const Call& call) : call_(call) {}

  String write(const Value& value) {
    // The sorted copy makes each repr() along the way a sorted one.
    format(sorted(value), 0, 0, 0);
    return std::move(out_);
  }

 private:
  static constexpr std::size_t kWidth = 80;

  String repr(const Value& value) const { return to_repr(call_.execution, value); }

  Value sorted(const Value& value) const {
    if (const List* list = value.list()) {
      Values items;
      for (const Value& item : list->items) items.push_back(sorted(item));
      return call_.execution.list(std::move(items), list->kind);
    }
    if (value.dict() == nullptr) return value;
    Dict dict = *value.dict();
    for (auto& entry : dict.entries) entry.second = sorted(entry.second);
    std::ranges::stable_sort(dict.entries,
                             [&](const auto& a, const auto& b) { return goes_before(a.first, b.first); });
    return call_.execution.dict(std::move(dict));
  }

  // Keys that have no order go by their types' names.
  bool goes_before(const Value& a, const Value& b) const {
    const auto rank = [](const Value& v) {
      return v.is_none() ? 0 : v.number() ? 1 : v.text() != nullptr ? 2 : 3;
    };
    if (rank(a) != rank(b) || a.is_none()) return rank(a) < rank(b);
    return compare(call_.execution, a, b) < 0;
  }

  // Writes the value `indent` characters from the left, so that `allowance` more fit behind it.
  void format(const Value& value, std::size_t indent, std::size_t allowance, int level) {
    const String whole = repr(value);
    call_.execution.allocate(whole.size());
    const List* const list = value.list();
    if (count_characters(whole) + indent + allowance <= kWidth) {
      out_ += whole;
      return call_.execution.check_output(out_.size());
    }
    if (list != nullptr) {
      const bool tuple = list->is_tuple();
      const std::string_view close = !tuple ? "]" : list->items.size() == 1 ? ",)" : ")";
      out_ += tuple ? '(' : '[';
      format_items(list->items, indent + 1, allowance + close.size(), level);
      out_ += close;
    } else if (value.dict() != nullptr) {
      out_ += '{';
      format_entries(value.dict()->entries, indent + 1, allowance + 1, level);
      out_ += '}';
    } else if (value.text() != nullptr && !value.is_markup()) {
      format_text(*value.text(), indent, allowance, level == 0);
    } else {
      out_ += whole;
    }
    call_.execution.check_output(out_.size());
  }

  void new_line(std::size_t indent) {
    out_ += '\n';
    out_.append(indent, ' ');
    call_.execution.check_output(out_.size());
  }

  void format_items(const Values& items, std::size_t indent, std::size_t allowance, int level) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) {
        out_ += ',';
        new_line(indent);
      }
      format(items[i], indent, i + 1 == items.size() ? allowance : 1, level + 1);
    }
  }

  void format_entries(const Dict::Entries& entries, std::size_t indent, std::size_t allowance, int level) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) {
        out_ += ',';
        new_line(indent);
      }
      const String key = repr(entries[i].first) + ": ";
      out_ += key;
      format(entries[i].second, indent + count_characters(key), i + 1 == entries.size() ? allowance : 1,
             level + 1);
    }
  }

  // Strings that stand one under another, as Python joins them; in brackets where nothing is around them.
  void format_text(std::string_view text, std::size_t indent, std::size_t allowance, bool alone) {
    if (alone) {
      ++indent;
      ++allowance;
    }
    std::vector<String> parts;
    const auto lines = lines_of(text, true);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      add_line(parts, lines[i], indent, i + 1 == lines.size() ? allowance : 0);
    }
    const bool brackets = alone && parts.size() > 1;
    if (brackets) out_ += '(';
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (i > 0) new_line(indent);
      out_ += parts[i];
    }
    if (brackets) out_ += ')';
  }

  // A line whole, or cut behind blanks.
  void add_line(std::vector<String>& parts, std::string_view line, std::size_t indent,
                std::size_t allowance) const {
    const auto fits = [&](const String& written, std::size_t behind) {
      return count_characters(written) + indent + behind <= kWidth;
    };
    String written = repr(String(line));
    if (fits(written, allowance)) return parts.push_back(std::move(written));
    std::string_view taken = line.substr(0, 0);
    for (std::size_t at = 0; at < line.size();) {
      const std::size_t begin = at;
      const auto is_blank = [&] { return is_space(code_point(line.substr(at))); };
      const auto step = [&] { at += utf8_length(line.substr(at)); };
      while (at < line.size() && !is_blank()) step();
      while (at < line.size() && is_blank()) step();
      const std::string_view longer = line.substr(static_cast<std::size_t>(taken.data() - line.data()),
                                                  at - static_cast<std::size_t>(taken.data() - line.data()));
      call_.execution.allocate(longer.size());
      if (fits(repr(String(longer)), at == line.size() ? allowance : 0)) {
        taken = longer;
        continue;
      }
      if (!taken.empty()) parts.push_back(repr(String(taken)));
      taken = line.substr(begin, at - begin);
    }
    if (!taken.empty()) parts.push_back(repr(String(taken)));
  }

  const Call& call_;
  String out_;
};

Value pretty(const Call& call, const Value& value) {
  return call.execution.text(PrettyWriter(call).write(value));
}

constexpr NamedFilter kLayoutFilters[] = {{"pprint", pretty}, {"wordwrap", word_wrap}};

}  // namespace

Filter find_layout_filter(std::string_view name) {
  const auto* const found = std::ranges::find(kLayoutFilters, name, &NamedFilter::name);
  return found == std::end(kLayoutFilters) ? nullptr : found->filter;
}

}  // namespace llamajit::jinja
