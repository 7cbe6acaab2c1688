// The page that `llamajit report` writes: what is on it, and its parts, one file each.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/measure/code_sampler.h"
#include "runtime/model/model_file.h"
#include "tools/common/measured_kernels.h"
#include "tools/report/html.h"

namespace llamajit::cli {

// The machine's limits for one thread.
struct Roofs {
  double weights = 0;   // reading all weights, bytes/s
  double cached = 0;    // reading what stays in the first-level cache, bytes/s
  double multiply = 0;  // f32, operations/s
  double dot = 0;       // of prepared inputs (int8, bf16), operations/s; 0 where the model has no use for it
  std::string_view dot_type;
};

// Only a run can tell these.
struct Measurements {
  std::string date;
  double token_seconds = 0;  // a whole token, without clocks between its kernels
  double emit_ms = 0;
  // On tiers that generate code.
  std::optional<Roofs> roofs;
  CodeSamples token_samples;
  CodeSamples prompt_samples;
};

struct Report {
  const ModelFile& file;
  Engine& engine;
  MeasuredKernels kernels;
  std::optional<Measurements> measurements;
  std::string why_not_measured;  // where there are none

  // Kernels are numbered from 1 on, in the order of the rows.
  int number(const jit::KernelInfo& kernel) const;  // 0: not among them
};

// The time of a kernel against the machine's limits.
struct Performance {
  double bytes_per_second = 0;
  double operations_per_second = 0;
  double roof_share = 0;  // of the limit that is nearer: bandwidth or arithmetic
};
// Whether a kernel reads weights or the KV cache; the others
// read activations, which stay in the first-level cache.
bool reads_memory(const jit::KernelKey& key);
// Whether its arithmetic is that of prepared inputs: the dot product of int8 or of bf16.
bool multiplies_prepared(const jit::KernelKey& key);
Performance performance(const KernelProfile& profile, const Roofs& roofs);

// For colours by share: the variable that the style sheet takes, from 0 to 1.
std::string heat(double part);
// "kernel-3": of the section with a kernel's listing.
std::string kernel_anchor(int number);
// A kernel's name, leading to its section where it has one.
void kernel_link(Html& html, const Report& report, const jit::KernelInfo& kernel);
// "1 234 567" with narrow spaces.
std::string grouped(std::int64_t n);
// "12.3 G": with a prefix for thousands.
std::string scaled(double value);
std::string percent(double share);

std::string report_page(const Report& report);

// The parts of the page.
std::string_view report_style();
void write_path(Html& html, const Report& report);
void write_roofline(Html& html, const Report& report);
void write_tables(Html& html, const Report& report);
void write_listings(Html& html, const Report& report);

}  // namespace llamajit::cli
