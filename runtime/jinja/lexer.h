// A template's text to tokens, with the newlines and blanks that tags take with them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace llamajit::jinja {

struct Token {
  enum class Kind {
    text,         // outside of tags; `text` is what is printed
    print_begin,  // {{
    print_end,
    block_begin,  // {%
    block_end,
    name,
    string,  // `text` without quotes and escapes
    integer,
    number,
    symbol,  // operators and brackets
    end,     // of the template
  };
  Kind kind;
  std::string text;
  int line;
};

// As Jinja does with trim_blocks and lstrip_blocks, the settings that chat templates are written for: the
// newline behind a block and the blanks before it on its line belong to it, and so does the newline at the
// template's end. `name` is for messages. Throws std::runtime_error that names template and line.
std::vector<Token> tokenize_template(std::string_view source, const std::string& name);

}  // namespace llamajit::jinja
