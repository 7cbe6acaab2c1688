#include "tools/common/measured_kernels.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>
#include <fnmatch.h>

#include "jit/code/isa_choice.h"

namespace llamajit::cli {

jit::Isa isa_to_show(const std::optional<std::string>& name) {
  if (!name) return jit::choose_isa(std::nullopt).isa;
  const jit::Isa isa{jit::tier_named(*name, "--isa")};
  return runs_here(isa) ? jit::choose_isa(name).isa : isa;
}

bool runs_here(jit::Isa isa) {
  return std::ranges::count(jit::host_tiers(), isa.tier) > 0;
}

std::vector<KernelRow> kernel_rows(const jit::CodeCache& code, const std::string& only) {
  std::vector<KernelRow> rows;
  for (const jit::KernelInfo& kernel : code.kernels()) {
    if (fnmatch(only.c_str(), kernel.name.c_str(), 0) != 0) continue;
    rows.push_back({&kernel, {}});
    if (code.isa().generates()) rows.back().listing = jit::inspect::make_listing(code.isa(), kernel.key);
  }
  if (rows.empty()) throw std::runtime_error(fmt::format("--only: no kernel's name matches '{}'", only));
  return rows;
}

MeasuredKernels count_kernels(Engine& engine, const std::string& only) {
  MeasuredKernels kernels;
  kernels.isa = engine.code().isa();
  kernels.rows = kernel_rows(engine.code(), only);
  kernels.token = count_token(engine);
  return kernels;
}

MeasuredKernels measure_kernels(Engine& engine, const std::string& only, int position) {
  if (!runs_here(engine.code().isa())) return count_kernels(engine, only);
  MeasuredKernels kernels;
  kernels.isa = engine.code().isa();
  kernels.measured = true;
  kernels.rows = kernel_rows(engine.code(), only);
  kernels.token = profile_token(engine, std::min(position, engine.context() - 1));
  kernels.prompt = profile_prompt(engine, std::min(engine.chunk(), engine.context()));
  return kernels;
}

}  // namespace llamajit::cli
