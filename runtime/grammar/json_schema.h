// JSON schemas (draft 2020-12 and its predecessors) as grammars of the JSON texts that they describe.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "runtime/grammar/grammar.h"

namespace llamajit {

// Every text of the grammar is valid by the schema; not every valid one is a text of the grammar: properties come in the
// schema's order, white space is as JsonRules has it, and where a schema says nothing of further properties beside those
// it names, there are none. docs/grammar.md says which keywords are honoured, and how far; keywords that constrain
// nothing (title, description, default, …) are passed over. Throws std::runtime_error for any other, by its path, as
// "NAME: /properties/x/multipleOf: expected a keyword that is honoured, found multipleOf", for what is no schema, and for
// schemas that outgrow the limits of GrammarRules and compile_grammar().
std::shared_ptr<const Grammar> compile_json_schema(const nlohmann::ordered_json& schema,
                                                   const std::string& name);
// Of a JSON text. An error in it names line and column.
std::shared_ptr<const Grammar> parse_json_schema(std::string_view text, const std::string& name);

// Any JSON object.
std::shared_ptr<const Grammar> json_object_grammar();

}  // namespace llamajit
