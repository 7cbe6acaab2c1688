// The filter urlize, which makes links of the addresses in a text.
#include <algorithm>
#include <initializer_list>
#include <utility>

#include <fmt/format.h>

#include "runtime/jinja/call.h"
#include "runtime/jinja/letter_case.h"
#include "runtime/jinja/text.h"

namespace llamajit::jinja {
namespace {

bool is_word_character(char32_t c) {
  return is_letter(c) || is_digit(c) || c == '_';
}

// Whether it has from `least` to `most` characters, and all are such that the predicate holds.
template <class Holds>
bool consists_of(std::string_view text, std::size_t least, std::size_t most, const Holds& holds) {
  const auto all = characters(text);
  return all.size() >= least && all.size() <= most &&
         std::ranges::all_of(all, [&](std::string_view c) { return holds(code_point(c)); });
}

bool are_digits(std::string_view text, std::size_t most) {
  return consists_of(text, 1, most, is_digit);
}

bool is_label(std::string_view text, std::size_t least, std::size_t most) {
  return consists_of(text, least, most,
                     [](char32_t c) { return is_word_character(c) || c == '%' || c == '-'; });
}

// `text` is in small letters here and below.
bool is_top_level(std::string_view text) {
  if (consists_of(text, 2, 63, [](char32_t c) { return c >= 'a' && c <= 'z'; })) return true;
  return text.starts_with("xn--") &&
         consists_of(text.substr(4), 2, 59, [](char32_t c) { return is_word_character(c) || c == '%'; });
}

bool is_ip4(std::string_view host) {
  const auto parts = split(host, ".", -1);
  return parts.size() == 4 && std::ranges::all_of(parts, [](std::string_view p) { return are_digits(p, 3); });
}

// In square brackets: groups of up to four hexadecimal digits with colons, the first two of which must be there.
bool is_ip6(std::string_view host) {
  if (!host.starts_with('[') || !host.ends_with(']')) return false;
  host = host.substr(1, host.size() - 2);
  const auto take_group = [&] {
    const std::size_t digits =
        std::min({host.find_first_not_of("0123456789abcdef"), host.size(), std::size_t{4}});
    host.remove_prefix(digits);
    const bool colon = host.starts_with(':');
    if (colon) host.remove_prefix(1);
    return colon;
  };
  for (int i = 0; i < 2; ++i) {
    if (!take_group()) return false;
  }
  for (int i = 0; i < 6 && !host.empty(); ++i) take_group();
  return host.empty();
}

// A name with dots, as links have it behind http:// or www.
bool is_domain(std::string_view host) {
  const auto labels = split(host, ".", -1);
  return is_top_level(labels.back()) &&
         std::ranges::all_of(labels.begin(), labels.end() - 1,
                             [](std::string_view l) { return is_label(l, 1, std::string_view::npos); });
}

// A name that is taken for a link without anything before it.
bool is_known_domain(std::string_view host) {
  constexpr std::string_view kKnown[] = {"com", "net", "int", "edu", "gov", "org", "info", "mil"};
  const auto labels = split(host, ".", -1);
  return labels.size() > 1 && std::ranges::count(kKnown, labels.back()) > 0 &&
         std::ranges::all_of(labels.begin(), labels.end() - 1,
                             [](std::string_view l) { return is_label(l, 2, 63); });
}

bool is_web_address(std::string_view word) {
  const String small = lower(word);
  std::string_view host = small;
  bool http = false;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!host.starts_with(scheme)) continue;
    host.remove_prefix(scheme.size());
    http = true;
  }
  host = host.substr(0, host.find_first_of("/?#"));
  const auto is_host = [&](std::string_view name) {
    if (http && (is_ip4(name) || is_ip6(name))) return true;
    if (http ? is_domain(name) : is_known_domain(name)) return true;
    return name.starts_with("www.") && is_domain(name.substr(4));
  };
  const std::size_t colon = host.rfind(':');
  const bool port = colon != std::string_view::npos && are_digits(host.substr(colon + 1), 5);
  return is_host(host) || (port && is_host(host.substr(0, colon)));
}

bool is_mail_address(std::string_view word) {
  const std::size_t at = word.rfind('@');
  if (at == std::string_view::npos || at == 0) return false;
  const std::string_view host = word.substr(at + 1);
  const std::size_t dot = host.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return false;
  const std::size_t any = std::string_view::npos;
  return is_word_character(code_point(host)) &&
         consists_of(host.substr(dot + 1), 1, any, is_word_character) &&
         consists_of(host, 1, any, [](char32_t c) { return is_word_character(c) || c == '.' || c == '-'; });
}

std::size_t count_of(std::string_view text, std::string_view part) {
  return split(text, part, -1).size() - 1;
}

struct Linking {
  const Call& call;
  String attributes{};                    // of each link: ' rel="…" target="…"'
  std::optional<std::int64_t> longest{};  // of what a link shows
  std::vector<String> schemes{};          // further ones

  String shortened(std::string_view address) const {
    if (!longest) return String(address);
    const auto all = characters(address);
    if (std::ssize(all) <= *longest) return String(address);
    const std::int64_t kept = std::max<std::int64_t>(*longest < 0 ? *longest + std::ssize(all) : *longest, 0);
    const char* const end = all[static_cast<std::size_t>(kept)].data();
    return printed_to_string("{}...", address.substr(0, static_cast<std::size_t>(end - address.data())));
  }

  String link(std::string_view to, std::string_view shows, bool plain = false) const {
    return printed_to_string("<a href=\"{}\"{}>{}</a>", to, plain ? "" : attributes, shows);
  }

  // The word as a link where it is an address.
  String linked(std::string_view word) const {
    const bool has_scheme = word.starts_with("https://") || word.starts_with("http://");
    if (is_web_address(word)) return link((has_scheme ? "" : "https://") + String(word), shortened(word));
    if (word.starts_with("mailto:") && is_mail_address(word.substr(7)))
      return link(word, word.substr(7), true);
    if (word.find('@') != std::string_view::npos && word.find(':') == std::string_view::npos &&
        !word.starts_with("www.") && is_mail_address(word)) {
      return link(printed_to_string("mailto:{}", word), word, true);
    }
    String out(word);
    for (const String& scheme : schemes) {
      if (out != scheme && out.starts_with(scheme)) out = link(out, out);
    }
    return out;
  }
};

// Cuts what matches off one end, again and again; returns that.
std::string_view cut_off(std::string_view& text, bool front, std::initializer_list<std::string_view> parts) {
  const std::string_view all = text;
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view part : parts) {
      if (!(front ? text.starts_with(part) : text.ends_with(part))) continue;
      text = front ? text.substr(part.size()) : text.substr(0, text.size() - part.size());
      found = true;
    }
  }
  return front ? all.substr(0, all.size() - text.size()) : all.substr(text.size());
}

// Punctuation around a word belongs to no address, but a bracket does that closes one within.
String with_link(const Linking& linking, std::string_view word) {
  const std::string_view head = cut_off(word, true, {"(", "<", "&lt;"});
  std::string_view tail = cut_off(word, false, {")", ">", ".", ",", "&gt;"});
  constexpr std::pair<std::string_view, std::string_view> kBrackets[] = {
      {"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}};
  for (const auto& [open, close] : kBrackets) {
    const std::size_t opened = count_of(word, open);
    if (opened <= count_of(word, close)) continue;
    for (std::size_t n = std::min(opened, count_of(tail, close)); n > 0; --n) {
      const std::size_t end = tail.find(close) + close.size();
      word = {word.data(), word.size() + end};  // the tail stands right behind it
      tail.remove_prefix(end);
    }
  }
  return printed_to_string("{}{}{}", head, linking.linked(word), tail);
}

// The words of `rel`, each once and sorted, and what templates' links have anyway.
String relations(const Call& call) {
  const String* const given = call.text(3, "rel");
  const String all = given != nullptr ? *given : "";
  Views words = split(all, "", -1);
  if (call.truth(1, "nofollow", false)) words.emplace_back("nofollow");
  words.emplace_back("noopener");
  std::ranges::sort(words);
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return printed_to_string("{}", fmt::join(words, " "));
}

std::vector<String> schemes_of(const Call& call) {
  std::vector<String> schemes;
  const Value* const given = call.given(4, "extra_schemes");
  if (given == nullptr || given->is_none()) return schemes;
  for (const Value& scheme : elements_of(call.execution, *given)) {
    const String* const text = scheme.text();
    std::string_view name = text != nullptr ? std::string_view(*text) : "";
    for (int i = 0; i < 2 && name.ends_with('/'); ++i) name.remove_suffix(1);
    const bool valid =
        name.ends_with(':') &&
        consists_of(name.substr(0, name.size() - 1), 2, std::string_view::npos,
                    [](char32_t c) { return is_word_character(c) || c == '.' || c == '+' || c == '-'; });
    if (!valid) call.fail("schemes like 'ftp:' or 'ftp://'", scheme);
    schemes.push_back(*text);
  }
  return schemes;
}

Value urlize(const Call& call, const Value& value) {
  Linking linking{call};
  linking.attributes = printed_to_string(" rel=\"{}\"", escaped_for_html(relations(call)));
  if (const String* target = call.text(2, "target"); target != nullptr && !target->empty()) {
    linking.attributes += printed_to_string(" target=\"{}\"", escaped_for_html(*target));
  }
  const Value* const longest = call.given(0, "trim_url_limit");
  if (longest != nullptr && !longest->is_none()) linking.longest = call.integer(0, "trim_url_limit", 0);
  linking.schemes = schemes_of(call);
  const Value escaped = apply_filter(call.execution, "escape", value, {});
  const std::string_view text = *escaped.text();
  call.execution.allocate(text.size() * sizeof(std::string_view));
  String out;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = stripped(text.substr(at), true, false);
    out += text.substr(at, text.size() - at - rest.size());  // blanks
    at = text.size() - rest.size();
    const auto words = split(rest, "", 1);
    if (words.empty()) break;
    out += with_link(linking, words[0]);
    at += words[0].size();
    call.execution.check_output(out.size());
  }
  return call.execution.text(std::move(out), call.execution.escapes());
}

}  // namespace

Filter find_link_filter(std::string_view name) {
  return name == "urlize" ? urlize : nullptr;
}

}  // namespace llamajit::jinja
