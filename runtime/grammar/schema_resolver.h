// What schemas are that a schema names by references or wants to hold together.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/grammar/compile_work.h"
#include "runtime/grammar/schema.h"

namespace llamajit {

// What CompileWork says of the work.
inline constexpr std::string_view kSchemas = "schemas that are read";

class SchemaResolver {
 public:
  static constexpr int kMaxNesting = 100;  // of schemas in schemas

  // `root` has so many values, is the grammar's of that name, and outlives this, as `work` does.
  SchemaResolver(const SchemaJson& root, std::size_t values, CompileWork& work)
      : root_(root), values_(values), work_(work) {}

  // What a reference within the root means. All of these throw std::runtime_error as refuse_schema() says it.
  const SchemaJson& referred(const std::string& reference, const std::string& where);
  // The same without $ref and allOf.
  SchemaJson flattened(const SchemaJson& schema, const std::string& where, int nesting);

 private:
  const SchemaJson& root_;
  std::size_t values_;
  std::size_t together_ = 0;  // looked at as schemas that hold together
  CompileWork& work_;
};

// The schema's $ref.
std::string reference_of(const SchemaJson& schema, const std::string& where);
// The values of enum and const, beside which may stand a type.
std::vector<SchemaJson> allowed_values(const SchemaJson& schema, const std::string& where, CompileWork& work);
// The value, if it is a list that is not empty.
const SchemaJson& list_of(const SchemaJson& value, const std::string& where);

}  // namespace llamajit
