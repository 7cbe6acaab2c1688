// Operands of matrix products under test, as kernels take
// them and as plain numbers; and the sums that must come out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "jit/kernels/kernels.h"
#include "tests/support/random_matrix.h"

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
// Every format is tried with these.
inline constexpr Finish kEpilogues[] = {
    {jit::Epilogue::store}, {jit::Epilogue::add}, {jit::Epilogue::swiglu}};
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
                                       {jit::Epilogue::gelu, kScaleAndBias}};
// "bias_swiglu_int8_64": a test's name.
std::string product_name(const Finish& finish, jit::Format format);

// One token's input of a product.
struct Activations {
  std::vector<float> x;            // of floats
  std::vector<std::int8_t> codes;  // of codes, and of pairs of bf16
  std::vector<float> scales;       // for codes only, as what follows
  std::vector<std::int32_t> offsets;
  std::vector<float> sums;
  std::vector<std::int16_t> subsums;

  double value(jit::Format format, int col) const;
};
// Rounds x, and fills `codes` with it.
void round_to_pairs(Activations& a);
// The same for the same seed.
Activations random_activations(jit::Format format, int cols, std::uint64_t seed);

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
  // One row of the result, with the epilogue; `old` stood there before.
  Sum result(const Activations& x, int row, float old) const;

 private:
  Sum dot(const RandomMatrix& matrix, const Activations& x, int row) const;
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
