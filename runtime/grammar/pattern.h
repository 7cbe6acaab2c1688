// JSON strings whose value a regular expression matches.
#pragma once

#include <string_view>

#include "runtime/grammar/json_rules.h"

namespace llamajit {

// What stands between the quotation marks. Of ECMA 262's notation, which JSON schemas use: ^ and $ at the ends of the
// whole or of its alternatives (without them any text may stand there), characters, `.`, classes, \d \w \s \D \W \S (of
// ASCII), \t \n \r \f \v \0 \xHH \uHHHH, a backslash before punctuation, (…), (?:…), (?<name>…), |, and * + ? {n} {n,}
// {n,m}, also lazy; (?=…) and (?!…) at the outermost or in groups that, at most optional, have the pattern's end and its `$`
// behind them, where each character is then written in one way only.
// Throws std::runtime_error as "column 3: expected …, found …" for anything else.
PartId json_pattern(JsonRules& json, std::string_view pattern);

}  // namespace llamajit
