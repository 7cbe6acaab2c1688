// A model's kernels with their listings and times: what `kernels` and `report` show.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "jit/inspect/listing.h"
#include "runtime/measure/profile.h"

namespace llamajit::cli {

struct KernelRow {
  const jit::KernelInfo* kernel;
  jit::inspect::Listing listing;  // empty on the scalar tier
};

struct MeasuredKernels {
  jit::Isa isa;
  bool measured = false;  // otherwise the CPU lacks the tier; `token` then has counts only
  std::vector<KernelRow> rows;
  Profile token;
  Profile prompt;
};

// The tier named by --isa, whether this CPU has it or not; otherwise the one that `run` would take.
jit::Isa isa_to_show(const std::optional<std::string>& name);
bool runs_here(jit::Isa isa);

// The kernels whose name matches the pattern, in the order
// of the cache. Throws std::runtime_error if there are none.
std::vector<KernelRow> kernel_rows(const jit::CodeCache& code, const std::string& only);

// For an engine of one thread. The token stands at `position`, or at the context's last one.
MeasuredKernels measure_kernels(Engine& engine, const std::string& only, int position);
// The same without running anything.
MeasuredKernels count_kernels(Engine& engine, const std::string& only);

}  // namespace llamajit::cli
