// Grammars in llama.cpp's notation, GBNF (grammars/README.md of llama.cpp describes it).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "runtime/grammar/grammar.h"

namespace llamajit {

// Rules `name ::= …`, of which `root` is the text; literals "…" and classes […], [^…] with the escapes \n \t \r \\ \"
// \[ \] \- \^ \xHH \uHHHH \UHHHHHHHH, `.` for any code point, (…), |, ? * + {n} {n,} {n,m}, and comments from # to the end
// of the line. A rule ends with its line, unless that is inside of parentheses or behind ::= or |, or the next one
// begins with |. `text` is UTF-8, of at most 1 MiB. Throws std::runtime_error as "NAME: line 3, column 7: expected …,
// found …", and what compile_grammar() throws. A rule that begins with itself (left recursion) is refused.
std::shared_ptr<const Grammar> parse_gbnf(std::string_view text, const std::string& name);

}  // namespace llamajit
