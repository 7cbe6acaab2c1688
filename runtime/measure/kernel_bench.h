// How fast the kernels of one product are, on random weights and without a model.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "jit/base/isa.h"
#include "jit/formats/format.h"
#include "runtime/measure/kernel_work.h"

namespace llamajit {

struct ProductShape {
  jit::Format format;
  int rows = 0;
  int cols = 0;
  int tokens = 1;
};
// "Q4_0:5632x2048", "BF16:5632x2048:4": format, rows, columns and tokens, as GGUF names formats. Matrices in
// BF16 are multiplied in pairs, as a model's are. Throws std::runtime_error that says what was expected.
ProductShape parse_product_shape(std::string_view text);

struct KernelBenchOptions {
  jit::Isa isa;
  int threads = 1;
  int repeats = 3;
  std::int64_t weight_bytes = 0;  // of all matrices together, at least
};

struct KernelResult {
  std::string name;
  double seconds = 0;                         // a call, by all threads
  KernelWork work;                            // of one
  double read_share = 0, multiply_share = 0;  // of the limits; 0 where there are none

  double bytes_per_second() const { return static_cast<double>(work.bytes) / seconds; }
  double operations_per_second() const { return static_cast<double>(work.operations) / seconds; }
};

struct KernelBench {
  int threads = 0;
  std::int64_t matrices = 0;
  std::int64_t matrix_bytes = 0;
  double read_limit = 0, multiply_limit = 0;  // bytes/s and operations/s; 0 on the scalar tier
  std::vector<KernelResult> kernels;
};

// Measures the matvec for so many tokens, if there is one, and for more than one token matmul, too. So many
// matrices are multiplied one after another that none lies in a cache when its turn comes again. The kernels
// take turns: a result is the best of `repeats` rounds over all matrices, as the limits are the best of some
// tries; one round before them does not count.
// `progress` is told after each round.
KernelBench run_kernel_bench(const ProductShape& shape, const KernelBenchOptions& options,
                             const std::function<void()>& progress);

}  // namespace llamajit
