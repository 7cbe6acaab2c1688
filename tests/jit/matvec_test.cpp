#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/random_matrix.h"

namespace llamajit::test {
namespace {

using jit::Epilogue;
using jit::Format;
using jit::FormatKind;
using jit::kLanes;
using jit::MatvecArgs;
using jit::MatvecKey;

constexpr Format kF32{FormatKind::f32, 0};
constexpr Format q8(int group) {
  return {FormatKind::q8_0, group};
}

struct Activations {
  std::vector<float> x;
  std::vector<std::int8_t> codes;
  std::vector<float> scales;
  std::vector<std::int32_t> offsets;

  double value(Format format, int col) const {
    if (format.kind == FormatKind::f32) return x[static_cast<std::size_t>(col)];
    const auto padded = jit::round_up(format.group, 4);
    return double{scales[static_cast<std::size_t>(col / format.group)]} *
           codes[static_cast<std::size_t>(col / format.group * padded + col % format.group)];
  }
};

Activations random_activations(Format format, int cols, std::uint64_t seed) {
  CallMemory source(Edge::back, seed);
  Activations a;
  if (format.kind == FormatKind::f32) {
    a.x = source.random_floats(static_cast<std::size_t>(cols));
    return a;
  }
  for (int g = 0; g < cols / format.group; ++g) {
    std::int32_t sum = 0;
    for (int k = 0; k < jit::round_up(format.group, 4); ++k) {
      const int code = k < format.group ? static_cast<int>(source.random()() % 255) - 127 : 0;
      a.codes.push_back(static_cast<std::int8_t>(code));
      sum += code;
    }
    a.offsets.push_back(-128 * sum);
  }
  a.scales = source.random_floats(a.offsets.size(), 0.001F, 0.02F);
  return a;
}

// A sum and how far a kernel's may be from it.
struct Sum {
  double value = 0;
  double bound = 0;
};

// One matrix product: its operands, its kernels, and its result in plain mathematics.
class Product {
 public:
  Product(const MatvecKey& key, std::uint64_t seed)
      : key_(key),
        seed_(seed),
        random_(seed),
        main_(key.format, key.rows, key.cols, random_),
        up_(key.format, key.rows, key.cols, random_),
        packed_(key.epilogue == Epilogue::swiglu ? packed_pair(key.format, key.cols, main_, up_)
                                                 : main_.packed()),
        x_(random_activations(key.format, key.cols, seed)),
        kernels_(key) {}

  int units() const { return static_cast<int>(jit::divide_up(key_.rows, kLanes)); }

  std::unique_ptr<CallMemory> check(int unit_begin, int unit_end) {
    return kernels_.check(
        seed_, fmt::format("units [{}, {})", unit_begin, unit_end), [&](CallMemory& memory) {
          MatvecArgs args{};
          args.w = memory.copy_of("w", packed_);
          if (key_.format.kind == FormatKind::f32) {
            args.x = memory.copy_of("x", x_.x);
          } else {
            args.xq = {memory.copy_of("codes", x_.codes), memory.copy_of("scales", x_.scales),
                       memory.copy_of("offsets", x_.offsets)};
          }
          args.out = memory.uniform("out", static_cast<std::size_t>(key_.rows));
          args.unit_begin = unit_begin;
          args.unit_end = unit_end;
          return args;
        });
  }

  // The twin's result against sums in double.
  void expect_is_right(const CallMemory& result) const {
    CallMemory before(Edge::back, seed_);
    const std::vector<float> old = before.random_floats(static_cast<std::size_t>(key_.rows));
    std::vector<double> expected, bounds;
    for (int row = 0; row < key_.rows; ++row) {
      const Sum sum = finished(row, old[static_cast<std::size_t>(row)]);
      expected.push_back(sum.value);
      bounds.push_back(sum.bound);
    }
    expect_within(fmt::format("{}, seed {}", kernel_name(key_), seed_), result.view<float>("out"), expected,
                  bounds);
  }

 private:
  Sum dot(const RandomMatrix& matrix, int row) const {
    Sum sum;
    double magnitude = 0;
    for (int col = 0; col < key_.cols; ++col) {
      const double term = matrix.value(row, col) * x_.value(key_.format, col);
      sum.value += term;
      magnitude += std::abs(term);
    }
    // f32: one rounding a term of a way; q8_0: three a group.
    const int roundings =
        key_.format.kind == FormatKind::f32 ? key_.cols / 4 + 4 : key_.cols / key_.format.group + 4;
    sum.bound = roundings * kEps * magnitude;
    return sum;
  }

  Sum finished(int row, float old) const {
    const Sum sum = dot(main_, row);
    if (key_.epilogue == Epilogue::store) return sum;
    if (key_.epilogue == Epilogue::add) {
      return {old + sum.value, sum.bound + kEps * (std::abs(old + sum.value) + sum.bound)};
    }
    const Sum up = dot(up_, row);
    const double silu = sum.value / (1 + std::exp(-sum.value));
    const double silu_bound = 1.1 * sum.bound + 8 * kEps * std::abs(silu);  // silu's slope is at most 1.0999
    const double value = silu * up.value;
    return {value, silu_bound * (std::abs(up.value) + up.bound) + std::abs(silu) * up.bound +
                       kEps * std::abs(value)};
  }

  MatvecKey key_;
  std::uint64_t seed_;
  std::mt19937_64 random_;
  RandomMatrix main_, up_;
  std::vector<std::byte> packed_;
  Activations x_;
  Kernels<MatvecKey> kernels_;
};

void check_whole(const MatvecKey& key) {
  Product product(key, static_cast<std::uint64_t>(key.rows) * 10007 + static_cast<std::uint64_t>(key.cols));
  product.expect_is_right(*product.check(0, product.units()));
}

class Matvec : public testing::TestWithParam<std::tuple<Epilogue, Format>> {
 protected:
  Epilogue epilogue() const { return std::get<0>(GetParam()); }
  Format format() const { return std::get<1>(GetParam()); }
  // Columns: a number that the format can have, near n.
  int cols(int n) const {
    return format().group == 0 ? n : static_cast<int>(jit::round_up(n, format().group));
  }
};

TEST_P(Matvec, OneBlockAndEveryRowTail) {
  for (int rows = 1; rows <= 18; ++rows) check_whole({format(), rows, cols(1), epilogue()});
}

TEST_P(Matvec, EveryColumnTail) {
  const int step = std::max(format().group, 1);
  for (int n = 1; n <= 18; ++n) {
    if (n * step <= 1200) check_whole({format(), 21, n * step, epilogue()});
  }
}

TEST_P(Matvec, OddNumbersOfBlocks) {
  for (int rows : {31, 33, 48, 63, 65, 80, 81, 97, 113, 144})
    check_whole({format(), rows, cols(44), epilogue()});
}

TEST_P(Matvec, RealSizes) {
  for (int n : {64, 172, 288, 768, 2048, 5632})
    check_whole({format(), kSanitized ? 17 : 70, cols(n), epilogue()});
}

TEST_P(Matvec, AnySplitOfTheUnitsGivesTheSameAndTouchesItsRowsOnly) {
  for (int rows : {75, 80}) {
    Product product({format(), rows, cols(40), epilogue()}, 99);
    // The twin leaves other rows as they were, and so must the kernel: all of `out` is compared.
    for (int begin = 0; begin <= product.units(); ++begin) {
      for (int end = begin; end <= product.units(); ++end) product.check(begin, end);
    }
  }
}

// All weights' codes -128 or 127 and all activations' 127 or -127: what would saturate 16-bit sums.
TEST(MatvecQ8, LargestCodesAreSummedExactly) {
  for (int group : {4, 64, 512}) {
    for (int weight_code : {-128, 127}) {
      for (int x_code : {-127, 127}) {
        const MatvecKey key{q8(group), 16, group, Epilogue::store};
        const std::vector<std::byte> codes(static_cast<std::size_t>(16 * group),
                                           static_cast<std::byte>(weight_code));
        const std::vector<float> ones(16, 1.0F);
        std::vector<std::byte> packed(static_cast<std::size_t>(jit::packed_bytes(key.format, 16, group)));
        jit::pack_tile({key.format, 16, group, codes, std::as_bytes(std::span(ones))}, 0, packed.data());
        Kernels kernels(key);
        const auto result =
            kernels.check(0, fmt::format("{} x {}", weight_code, x_code), [&](CallMemory& memory) {
              const auto count = static_cast<std::size_t>(group);
              MatvecArgs args{};
              args.w = memory.copy_of("w", packed);
              args.xq = {memory.copy_of("codes", std::vector(count, static_cast<std::int8_t>(x_code))),
                         memory.copy_of("scales", std::vector{1.0F}),
                         memory.copy_of("offsets", std::vector{-128 * group * x_code})};
              args.out = memory.allocate<float>("out", 16);
              args.unit_end = 1;
              return args;
            });
        for (float sum : result->view<float>("out"))
          EXPECT_EQ(sum, static_cast<float>(group * weight_code * x_code));
      }
    }
  }
}

TEST(MatvecF32, SubnormalAndHugeNumbers) {
  const MatvecKey key{kF32, 33, 44, Epilogue::store};
  std::mt19937_64 random(8);
  const std::vector<std::byte> packed = RandomMatrix(kF32, 33, 44, random).packed();
  Kernels kernels(key);
  for (float magnitude : {0.0F, 1e-44F, 1e-40F, 1e-37F, 1e37F}) {
    kernels.check(1, fmt::format("magnitude {}", magnitude), [&](CallMemory& memory) {
      MatvecArgs args{};
      args.w = memory.copy_of("w", packed);
      args.x = memory.uniform("x", 44, -magnitude, magnitude);
      args.out = memory.allocate<float>("out", 33);
      args.unit_end = 3;
      return args;
    });
  }
}

std::vector<Format> formats() {
  std::vector<Format> out = {kF32};
  for (int group : kGroups) out.push_back(q8(group));
  return out;
}

std::string case_name(const testing::TestParamInfo<std::tuple<Epilogue, Format>>& shape) {
  static constexpr const char* kNames[] = {"store", "add", "swiglu"};
  const auto [epilogue, format] = shape.param;
  const std::string name = kNames[static_cast<int>(epilogue)];
  return format.group == 0 ? name + "_f32" : fmt::format("{}_q8_0_{}", name, format.group);
}

INSTANTIATE_TEST_SUITE_P(Grid, Matvec,
                         testing::Combine(testing::Values(Epilogue::store, Epilogue::add, Epilogue::swiglu),
                                          testing::ValuesIn(formats())),
                         case_name);

}  // namespace
}  // namespace llamajit::test
