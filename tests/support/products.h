// Operands of matrix products under test, as kernels take
// them and as plain numbers; and the sums that must come out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "jit/formats/packing.h"
#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/random_matrix.h"
#include "tests/support/sanitized.h"

namespace llamajit::test {

inline constexpr jit::Format kF32{jit::FormatKind::f32, 0};
constexpr jit::Format q8(int group) {
  return {jit::FormatKind::int8, group};
}

// A product's sums go through this before they are stored.
struct Finish {
  jit::Epilogue epilogue;
  jit::Affine affine{};
};
// Every format is tried with these; under the sanitizers, which don't see into generated code, with the first one.
inline constexpr Finish kEpilogues[] = {
    {jit::Epilogue::store}, {jit::Epilogue::add}, {jit::Epilogue::swiglu}};
inline std::vector<Finish> grid_epilogues() {
  return {std::begin(kEpilogues), kSanitized ? std::begin(kEpilogues) + 1 : std::end(kEpilogues)};
}
// Some formats are tried with these, which differ from the others behind the sums only.
inline constexpr jit::Affine kScale{true, false}, kBias{false, true}, kScaleAndBias{true, true};
inline constexpr Finish kFinishes[] = {{jit::Epilogue::store, kScale},
                                       {jit::Epilogue::store, kBias},
                                       {jit::Epilogue::store, kScaleAndBias},
                                       {jit::Epilogue::add, kScale},
                                       {jit::Epilogue::add, kBias},
                                       {jit::Epilogue::swiglu, kScale},
                                       {jit::Epilogue::relu2glu},
                                       {jit::Epilogue::relu2glu, kScale},
                                       {jit::Epilogue::gelu},
                                       {jit::Epilogue::gelu, kScaleAndBias},
                                       {jit::Epilogue::geglu, kScale},
                                       {jit::Epilogue::swiglu_clamped},
                                       {jit::Epilogue::swiglu_clamped, kBias},
                                       {jit::Epilogue::relu2}};
// "bias_swiglu_int8_64": a test's name.
std::string product_name(const Finish& finish, jit::Format format);

// Gives all weights of a packed tile of one group the same code and subscale, which no block of a format with a grid may
// have.
void fill_record(const jit::CodesLayout& layout, int code, int subscale, std::byte* record);

// What no kernel may read.
template <class T>
T poison() {
  T value;
  std::memset(&value, 0xFF, sizeof value);
  return value;
}

// Rows one after another, `stride` values apart, with poison between them.
template <class T>
std::vector<T> matrix_of(const std::vector<const std::vector<T>*>& rows, std::int64_t stride) {
  std::vector<T> out;
  for (const std::vector<T>* row : rows) {
    const std::size_t gap = out.size();
    out.resize(gap == 0 ? 0
                        : static_cast<std::size_t>(jit::round_up(static_cast<std::int64_t>(gap), stride)));
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(gap), out.end(), poison<T>());
    out.insert(out.end(), row->begin(), row->end());
  }
  return out;
}

// One token's input of a product.
struct Activations {
  std::vector<float> x;            // of floats
  std::vector<std::int8_t> codes;  // of codes, and of pairs of bf16
  std::vector<float> scales;       // for codes only, as what follows
  std::vector<std::int32_t> offsets;
  std::vector<float> sums;
  std::vector<std::int16_t> subsums;

  std::vector<double> values(jit::Format format) const;
};
// Rounds x, and fills `codes` with it.
void round_to_pairs(Activations& a);
// The same for the same seed.
Activations random_activations(jit::Format format, int cols, std::uint64_t seed);

// Several tokens' input, as rows that lie as far apart as kernels take them. What keeps them apart holds
// NaNs, or codes -1, and ends with the last row's last value: no kernel may touch it.
class TokenActivations {
 public:
  TokenActivations(jit::Format format, int cols, int n_tokens, std::uint64_t seed);

  Activations& operator[](int token) { return tokens_[static_cast<std::size_t>(token)]; }
  const Activations& operator[](int token) const { return tokens_[static_cast<std::size_t>(token)]; }

  // The first `n_tokens` as the x or xq of a kernel's Args.
  template <class Args>
  void copy_to(CallMemory& memory, int n_tokens, Args& args) const {
    const std::optional<jit::InputFormat> input = input_format(format_);
    if (!input) {
      args.x = memory.copy_of("x", rows(n_tokens, &Activations::x, jit::row_stride(cols_)));
      return;
    }
    const std::int64_t groups = input->groups(cols_), subgroups = input->subgroups(cols_);
    const std::int64_t codes = jit::prepared_stride(input->codes_bytes(cols_));
    args.xq = {memory.copy_of("codes", rows(n_tokens, &Activations::codes, codes)),
               memory.copy_of("scales", rows(n_tokens, &Activations::scales, groups)),
               memory.copy_of("offsets", rows(n_tokens, &Activations::offsets, subgroups)),
               memory.copy_of("sums", rows(n_tokens, &Activations::sums, subgroups)),
               memory.copy_of("subsums", rows(n_tokens, &Activations::subsums, subgroups))};
  }

 private:
  // One member of the tokens' activations.
  template <class T>
  std::vector<T> rows(int n_tokens, std::vector<T> Activations::*member, std::int64_t stride) const {
    std::vector<const std::vector<T>*> rows;
    for (int t = 0; t < n_tokens; ++t) rows.push_back(&((*this)[t].*member));
    return matrix_of(rows, stride);
  }

  jit::Format format_;
  int cols_;
  std::vector<Activations> tokens_;
};

// A sum and how far a kernel's may be from it.
struct Sum {
  double value = 0;
  double bound = 0;
};

// The matrix of one product, where gated two, and what multiplying by it is in plain mathematics.
class ProductMatrix {
 public:
  ProductMatrix(jit::Format format, int rows, int cols, const Finish& finish, std::uint64_t seed);

  int units() const { return static_cast<int>(jit::divide_up(rows_, jit::kLanes)); }
  const std::vector<std::byte>& packed() const { return packed_; }
  const std::vector<float>& scales() const { return scales_; }  // empty where there are none
  const std::vector<float>& bias() const { return bias_; }      // the same
  // One row of the result, with the epilogue, where x is Activations::values(); `old` stood there before.
  Sum result(const std::vector<double>& x, int row, float old) const;

 private:
  Sum dot(const RandomMatrix& matrix, const std::vector<double>& x, int row) const;
  Sum finished(Sum sum, std::size_t matrix, int row) const;

  jit::Format format_;
  int rows_, cols_;
  Finish finish_;
  std::mt19937_64 random_;
  RandomMatrix main_, up_;
  std::vector<std::byte> packed_;
  std::vector<float> scales_, bias_;
};

}  // namespace llamajit::test
