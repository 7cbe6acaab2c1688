#include "tools/serve/reply_form.h"

#include "runtime/grammar/gbnf.h"
#include "runtime/grammar/json_schema.h"
#include "tools/serve/api_error.h"

namespace llamajit::serve {
namespace {

std::shared_ptr<Masks> compiled(Service& service, const std::string& key, const std::string& name,
                                const GrammarCache::Compile& compile) {
  try {
    return service.grammars.get(key, compile);
  } catch (const std::exception& error) {  // of the schema or the grammar
    throw ApiError(400, error.what(), name);
  }
}

std::shared_ptr<Masks> any_object(Service& service) {
  return compiled(service, "object", "response_format", [] { return json_object_grammar(); });
}

std::shared_ptr<Masks> read_response_format(const Fields& format, Service& service,
                                            const FormMembers& members) {
  const std::string type = format.required_text("type");
  if (type == "text") return nullptr;
  if (type == "json_object") {
    const Json* const schema = format.find("schema");  // llama.cpp's
    return schema == nullptr ? any_object(service) : schema_form(*schema, "response_format.schema", service);
  }
  if (type != "json_schema") format.fail("type", "text, json_object or json_schema", format.at("type"));
  const Json* const schema =
      format.object("json_schema") ? format.object("json_schema")->find("schema") : nullptr;
  if (schema == nullptr) return any_object(service);
  return schema_form(*schema, members.schema, service);
}

}  // namespace

std::shared_ptr<Masks> schema_form(const Json& schema, const std::string& name, Service& service) {
  return compiled(service, "schema " + text_of(schema), name,
                  [&] { return compile_json_schema(schema, name); });
}

std::shared_ptr<Masks> read_form(const Fields& fields, Service& service, const FormMembers& members) {
  const auto format = fields.object("response_format");
  const auto grammar = fields.text("grammar");
  const Json* const schema = fields.find("json_schema");
  if (static_cast<int>(format.has_value()) + static_cast<int>(grammar.has_value()) +
          (schema != nullptr ? 1 : 0) >
      1) {
    throw ApiError(400, "response_format: expected one of response_format, grammar and json_schema",
                   "response_format");
  }
  if (format) return read_response_format(*format, service, members);
  if (schema != nullptr) return schema_form(*schema, "json_schema", service);
  if (!grammar || grammar->empty()) return nullptr;
  return compiled(service, "gbnf " + *grammar, "grammar", [&] { return parse_gbnf(*grammar, "grammar"); });
}

}  // namespace llamajit::serve
