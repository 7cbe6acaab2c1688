// JSON strings whose value a regular expression matches.
#pragma once

#include <stdexcept>
#include <string_view>

#include "runtime/grammar/json_rules.h"

namespace llamajit {

// As "column 3: expected …, found …".
class PatternError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What stands between the quotation marks. Of ECMA 262's notation, which JSON schemas use: ^ and $ at the ends of the
// whole or of its alternatives (without them any text may stand there), characters, `.`, classes, \d \w \s \D \W \S (of
// ASCII), \t \n \r \f \v \0 \xHH \uHHHH, a backslash before punctuation, (…), (?:…), (?<name>…), |, and * + ? {n} {n,}
// {n,m}, also lazy; (?=…) and (?!…) at the outermost or in groups that, at most optional, have the pattern's end and its `$`
// behind them, where each character is then written in one way only.
// What a text is not to have, in [^…] and (?!…), is more than what it is asked for: there \s and `.` are all that some engine
// takes for such, and \D, \W and \S are not of ASCII alone.
// Throws PatternError for anything else, and what CompileWork throws.
PartId json_pattern(JsonRules& json, std::string_view pattern);

}  // namespace llamajit
