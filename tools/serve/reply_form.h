// The form that a request asks an answer to have.
#pragma once

#include <memory>

#include "tools/serve/answer.h"
#include "tools/serve/fields.h"
#include "tools/serve/service.h"

namespace llamajit::serve {

// Of response_format (text, json_object, json_schema: https://platform.openai.com/docs/guides/structured-outputs), or
// llama.cpp's `grammar` in GBNF and `json_schema`; nullptr: any. Throws ApiError (400), also for more than one of them
// and for schemas with what is not honoured, which are
// said of members.schema.
std::shared_ptr<Masks> read_form(const Fields& fields, Service& service, const FormMembers& members = {});
// Of a schema that stands in the member `name`.
std::shared_ptr<Masks> schema_form(const Json& schema, const std::string& name, Service& service);

}  // namespace llamajit::serve
