// A kernel's contract and key in words, for the heads of listings and for manifests.
#pragma once

#include <cstdint>
#include <string>
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

// The member of the kernel's Args at a byte offset, as "xq.scales"; "" where none begins.
std::string args_field(const KernelKey& key, std::int64_t offset);

}  // namespace llamajit::jit::inspect
