// Grammars, and texts that are held to them.
#include "runtime/grammar/gbnf.h"
#include "tests/fuzz/grammar_check.h"

namespace llamajit::fuzz {

void run(std::string_view input) {
  Recipe recipe(input);
  const std::string_view text = recipe.text(), source = recipe.rest();
  succeeds([&] { write_by(parse_gbnf(source, "g"), text); });
}

std::vector<std::string> seeds() {
  return {
      joined({"yes", "root ::= \"yes\" | \"no\" # one of them"}),
      joined({"12+3", "root ::= num ([+*/-] num)*\nnum ::= [0-9]{1,3} | \"(\" root \")\""}),
      joined({"\xEA\xB0\x80", "root ::= [가-힣]+ [^a-c\\n\\x41\\u00e9\\U0001F600] .?"}),
      joined({"{\"a\":1}",
              "root ::= \"{\" ws (pair (\",\" ws pair)*)? \"}\"\npair ::= str \":\" ws val\n"
              "str ::= \"\\\"\" [^\"\\\\]* \"\\\"\"\nval ::= str | root | [0-9]{2,}\n  | \"null\"\nws ::= [ "
              "\\t\\n]*"}),
  };
}

}  // namespace llamajit::fuzz
