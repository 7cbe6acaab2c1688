// A kernel's contract, key and Args in words, for the heads of listings and for manifests. Key and Args describe
// themselves (base/fields.h); the formula is written by hand, of the names of their fields.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "jit/kernels/kernels.h"

namespace llamajit::jit::inspect {

// "out = x / sqrt(mean(x^2) + eps) * weight"
std::string kernel_formula(const KernelKey& key);

// The key's fields, in order: {"n", 64}, {"eps", 1e-5}
using KeyValue = std::variant<std::int64_t, double, std::string>;
std::vector<std::pair<std::string, KeyValue>> key_fields(const KernelKey& key);
// "n 64, eps 1e-05"
std::string key_text(const KernelKey& key);

struct ArgsField {
  std::string name;          // "xq.scales"
  std::size_t offset, size;  // bytes
  std::string type;          // "float*"
  std::string_view meaning;  // "(vectors, n)"
};
// The fields of the kernel's Args in order; behind one that is a struct come that one's own.
const std::vector<ArgsField>& args_fields(const KernelKey& key);
// "args + 16    float* out                 (vectors, n), may be x", one line a field
std::vector<std::string> args_table(const KernelKey& key);
// The name of the field that begins at a byte offset of the Args, the innermost; "" where none begins.
std::string args_field(const KernelKey& key, std::int64_t offset);

}  // namespace llamajit::jit::inspect
