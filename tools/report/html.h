// Markup that can't come out unbalanced or unescaped.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace llamajit::cli {

struct Attribute {
  std::string_view name;
  std::string value;
};

// Text as it stands in markup: special characters as references;
// what is no UTF-8, and control characters, as U+FFFD.
std::string escaped(std::string_view text);

// HTML with SVG in it, also well-formed as XML. Tags and attributes' names are ours, all else is escaped.
class Html {
 public:
  using Attributes = std::initializer_list<Attribute>;

  Html& open(std::string_view tag, Attributes attributes = {});
  Html& close();  // the innermost element that is open
  Html& text(std::string_view text);
  // <tag>text</tag>
  Html& element(std::string_view tag, std::string_view text, Attributes attributes = {});
  // <tag/>
  Html& single(std::string_view tag, Attributes attributes = {});
  // Our own style sheet, as it is.
  Html& style(std::string_view css);

  // The whole; nothing may be open.
  std::string finish();

 private:
  void begin(std::string_view tag, Attributes attributes);

  std::string out_;
  std::vector<std::string_view> open_;
};

}  // namespace llamajit::cli
