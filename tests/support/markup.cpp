#include "tests/support/markup.h"

#include <array>
#include <utility>
#include <vector>

namespace llamajit::test {
namespace {

constexpr std::array<std::pair<std::string_view, char>, 5> kReferences = {
    {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&#39;", '\''}}};

std::string around(std::string_view page, std::size_t at) {
  return std::string(page.substr(at, 80));
}

// The length of the reference there; 0 if it is none of ours.
std::size_t reference_length(std::string_view text) {
  for (const auto& [reference, character] : kReferences) {
    if (text.starts_with(reference)) return reference.size();
  }
  return 0;
}

// Attributes: ` name="value"`, again and again.
bool attributes_are_good(std::string_view rest) {
  while (!rest.empty()) {
    const std::size_t equals = rest.find("=\"");
    if (rest.front() != ' ' || equals == std::string_view::npos || equals < 2) return false;
    const std::size_t end = rest.find('"', equals + 2);
    if (end == std::string_view::npos) return false;
    const std::string_view value = rest.substr(equals + 2, end - equals - 2);
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (value[i] == '<' || (value[i] == '&' && reference_length(value.substr(i)) == 0)) return false;
    }
    rest.remove_prefix(end + 1);
  }
  return true;
}

// Takes the tag's inside; "" or what is wrong.
std::string take_tag(std::string_view tag, std::vector<std::string_view>& open) {
  if (tag.starts_with('/')) {
    if (open.empty() || open.back() != tag.substr(1)) return "closes what is not open";
    open.pop_back();
    return "";
  }
  const bool single = tag.ends_with('/');
  if (single) tag.remove_suffix(1);
  const std::string_view name = tag.substr(0, tag.find(' '));
  if (!attributes_are_good(tag.substr(name.size()))) return "bad attributes";
  if (!single) open.push_back(name);
  return "";
}

}  // namespace

std::string markup_error(std::string_view page) {
  constexpr std::string_view kDoctype = "<!DOCTYPE html>\n";
  if (!page.starts_with(kDoctype)) return "no doctype";
  std::vector<std::string_view> open;
  for (std::size_t at = kDoctype.size(); at < page.size(); ++at) {
    if (page[at] == '&' && reference_length(page.substr(at)) == 0) return "bare &: " + around(page, at);
    if (page[at] == '>') return "bare >: " + around(page, at);
    if (page[at] != '<') continue;
    const std::size_t end = page.find('>', at);
    if (end == std::string_view::npos) return "a tag without end: " + around(page, at);
    const std::string wrong = take_tag(page.substr(at + 1, end - at - 1), open);
    if (!wrong.empty()) return wrong + ": " + around(page, at);
    at = end;
    if (!open.empty() && open.back() == "style") at = page.find("</style>", at) - 1;
  }
  return open.empty() ? "" : "not closed: " + std::string(open.back());
}

std::string markup_text(std::string_view page) {
  std::string text;
  for (std::size_t at = 0; at < page.size(); ++at) {
    if (page[at] == '<') {
      at = page.find('>', at);
      continue;
    }
    if (page[at] != '&') {
      text += page[at];
      continue;
    }
    for (const auto& [reference, character] : kReferences) {
      if (!page.substr(at).starts_with(reference)) continue;
      text += character;
      at += reference.size() - 1;
      break;
    }
  }
  return text;
}

}  // namespace llamajit::test
