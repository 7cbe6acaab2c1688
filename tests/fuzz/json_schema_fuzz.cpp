// JSON schemas, and texts that are held to them.
#include "runtime/grammar/json_schema.h"
#include "tests/fuzz/grammar_check.h"

namespace llamajit::fuzz {

void run(std::string_view input) {
  Recipe recipe(input);
  const std::string_view text = recipe.text(), source = recipe.rest();
  succeeds([&] { write_by(parse_json_schema(source, "s"), text); });
}

std::vector<std::string> seeds() {
  return {
      joined({"{\"a\": 1",
              R"({"type": "object", "properties": {"a": {"type": "integer", "minimum": -3, "maximum": 12},
          "b": {"type": "string", "minLength": 1, "maxLength": 4}}, "required": ["a"], "additionalProperties": false})"}),
      joined({"[1.5, ", R"({"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 3})"}),
      joined({"\"x1", R"({"type": "string", "pattern": "^[a-z]+(1|2)?\\d{2,3}$"})"}),
      joined({"\"Ab", R"({"pattern": "^(?=.*[A-Z])(?!.*zz)(?:a|(?=b)b+|.)(?<n>x?)$", "maxLength": 9})"}),
      joined({"-0.7", R"({"multipleOf": 0.35, "minimum": -12.5, "exclusiveMaximum": 1e3})"}),
      joined({"\"aGk", R"({"contentEncoding": "base64", "pattern": "A"})"}),
      joined({"", R"({"anyOf": [{"const": {"a": null}}, {"enum": ["x", 1, true]}], "title": "t"})"}),
      joined(
          {"{",
           R"({"$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"})"}),
      joined({"\"2024-", R"({"type": ["string", "null"], "format": "date-time"})"}),
      joined({"[", R"({"prefixItems": [{"type": "boolean"}, {"type": "null"}], "items": false})"}),
      joined(
          {"{",
           R"({"allOf": [{"type": "object"}, {"properties": {"a": {"exclusiveMinimum": 0.5, "type": "number"}}}]})"}),
      joined({"{", R"({"type": "object", "additionalProperties": {"type": "string", "format": "uuid"}})"}),
  };
}

}  // namespace llamajit::fuzz
