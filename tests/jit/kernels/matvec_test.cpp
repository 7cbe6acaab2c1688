#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/products.h"
#include "tests/support/random_shapes.h"

namespace llamajit::test::matvec_test {
namespace {

using jit::Epilogue;
using jit::Format;
using jit::MatvecArgs;
using jit::MatvecKey;

// The product of a matrix with one or several tokens: its operands, its kernels, and its result in plain
// mathematics.
class Product {
 public:
  Product(const MatvecKey& key, std::uint64_t seed)
      : key_(key),
        seed_(seed),
        matrix_(key.format, key.rows, key.cols, {key.epilogue, key.affine}, seed),
        x_(key.format, key.cols, key.tokens, seed),
        kernels_(key) {}

  int units() const { return matrix_.units(); }

  std::unique_ptr<CallMemory> check(int unit_begin, int unit_end) {
    return kernels_.check(seed_, fmt::format("units [{}, {})", unit_begin, unit_end),
                          [&](CallMemory& memory) {
                            MatvecArgs args{};
                            args.w = memory.copy_of("w", matrix_.packed());
                            x_.copy_to(memory, key_.tokens, args);
                            args.out = memory.uniform("out", out_size());
                            args.unit_begin = unit_begin;
                            args.unit_end = unit_end;
                            if (key_.affine.scale)
                              args.scales = memory.copy_of("scales of W", matrix_.scales());
                            if (key_.affine.bias) args.bias = memory.copy_of("bias", matrix_.bias());
                            return args;
                          });
  }

  // The twin's result against sums in double.
  void expect_is_right(const CallMemory& result) const {
    const std::vector<float> old = CallMemory(Edge::back, seed_).random_floats(out_size());
    for (int t = 0; t < key_.tokens; ++t) {
      const std::vector<double> x = x_[t].values(key_.format);
      std::vector<double> expected, bounds;
      for (int row = 0; row < key_.rows; ++row) {
        const Sum sum = matrix_.result(x, row, old[at(t, row)]);
        expected.push_back(sum.value);
        bounds.push_back(sum.bound);
      }
      expect_within(fmt::format("{}, seed {}, token {}", kernel_name(key_), seed_, t),
                    result.view<float>("out").subspan(at(t, 0), static_cast<std::size_t>(key_.rows)),
                    expected, bounds);
    }
  }

 private:
  std::size_t at(int token, int row) const {
    return static_cast<std::size_t>(token * jit::row_stride(key_.rows) + row);
  }
  std::size_t out_size() const { return at(key_.tokens - 1, key_.rows); }

  MatvecKey key_;
  std::uint64_t seed_;
  ProductMatrix matrix_;
  TokenActivations x_;
  Kernels<MatvecKey> kernels_;
};

void check_whole(const MatvecKey& key) {
  Product product(key, static_cast<std::uint64_t>(key.rows) * 10007 + static_cast<std::uint64_t>(key.cols));
  product.expect_is_right(*product.check(0, product.units()));
}

using Case = std::tuple<Finish, Format, int>;  // and streams

class Matvec : public testing::TestWithParam<Case> {
 protected:
  const Finish& finish() const { return std::get<0>(GetParam()); }
  Format format() const { return std::get<1>(GetParam()); }
  MatvecKey key(int rows, int columns) const {
    return {format(), rows, columns, finish().epilogue, std::get<2>(GetParam()), finish().affine};
  }
  // Columns: a number that the format can have, near n.
  int cols(int n) const {
    return format().group == 0 ? n : static_cast<int>(jit::round_up(n, format().group));
  }
};

TEST_P(Matvec, OneBlockAndEveryRowTail) {
  for (int rows = 1; rows <= 18; ++rows) check_whole(key(rows, cols(1)));
}

TEST_P(Matvec, EveryColumnTail) {
  const int step = std::max(format().group, 1);
  for (int n = 1; n <= 18; ++n) {
    if (n * step <= 1200) check_whole(key(21, n * step));
  }
}

TEST_P(Matvec, OddNumbersOfBlocks) {
  for (int rows : {31, 33, 48, 63, 65, 80, 81, 97, 113, 144}) {
    if (kSanitized && rows > 65) continue;
    check_whole(key(rows, cols(44)));
  }
}

TEST_P(Matvec, RealSizes) {
  for (int n : {64, 172, 288, 768, 2048, 5632}) check_whole(key(kSanitized ? 17 : 70, cols(n)));
}

TEST_P(Matvec, AnySplitOfTheUnitsGivesTheSameAndTouchesItsRowsOnly) {
  for (int rows : {75, 80}) {
    Product product(key(rows, cols(40)), 99);
    // The twin leaves other rows as they were, and so must the kernel: all of `out` is compared.
    for (int begin = 0; begin <= product.units(); ++begin) {
      for (int end = begin; end <= product.units(); ++end) product.check(begin, end);
    }
  }
}

// Every number of tokens, with tails of rows and columns and more than one unit.
class MatvecTokens : public testing::TestWithParam<Case> {
 protected:
  MatvecKey key(int rows, int groups, int tokens) const {
    const auto& [finish, format, streams] = GetParam();
    return {format,        rows,  groups * std::max(format.group, 1), finish.epilogue, streams,
            finish.affine, tokens};
  }
  // A number of columns near n, in groups.
  int groups(int n) const {
    return static_cast<int>(jit::divide_up(n, std::max(std::get<1>(GetParam()).group, 1)));
  }
};

TEST_P(MatvecTokens, EveryNumberOfTokens) {
  for (int tokens = 1; tokens <= jit::kMostMatvecTokens; tokens += kSanitized ? 3 : 1)
    check_whole(key(53, groups(44), tokens));
}

TEST_P(MatvecTokens, RowTails) {
  for (int rows : {1, 15, 16, 17, 32, 64, 81}) {
    for (int tokens : {2, 7}) check_whole(key(rows, groups(1), tokens));
  }
}

TEST_P(MatvecTokens, ColumnTails) {
  for (int n = 1; n <= 18; ++n) {
    if (key(1, n, 1).cols <= 1200) check_whole(key(21, n, 3));
  }
}

TEST_P(MatvecTokens, RealSizes) {
  for (int n : {288, 2048}) {
    if (kSanitized && n > 288) continue;
    for (int tokens : {4, 16}) check_whole(key(17, groups(n), tokens));
  }
}

TEST_P(MatvecTokens, AnySplitOfTheUnitsGivesTheSameAndTouchesItsRowsOnly) {
  for (int rows : {75, 80}) {
    Product product(key(rows, groups(20), 5), 99);
    for (int begin = 0; begin <= product.units(); ++begin) {
      for (int end = begin; end <= product.units(); ++end) product.check(begin, end);
    }
  }
}

std::string case_name(const testing::TestParamInfo<Case>& shape) {
  return fmt::format("{}_streams_{}", product_name(std::get<0>(shape.param), std::get<1>(shape.param)),
                     std::get<2>(shape.param));
}

// Every format with every epilogue and number of streams; under the sanitizers with one of each, in turn.
std::vector<Case> grid() {
  std::vector<Case> cases;
  std::size_t turn = 0;
  for (const Format& format : every_format()) {
    ++turn;
    for (const Finish& epilogue : grid_epilogues()) {
      for (const int streams : {1, 2, 4}) {
        if (kSanitized && streams != 1 << turn % 3) continue;
        cases.emplace_back(epilogue, format, streams);
      }
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Grid, Matvec, testing::ValuesIn(grid()), case_name);
INSTANTIATE_TEST_SUITE_P(Finishes, Matvec,
                         testing::Combine(testing::ValuesIn(kFinishes), testing::Values(kF32, q8(64)),
                                          testing::Values(1, 4)),
                         case_name);

INSTANTIATE_TEST_SUITE_P(Grid, MatvecTokens, testing::ValuesIn(grid()), case_name);
INSTANTIATE_TEST_SUITE_P(Finishes, MatvecTokens,
                         testing::Combine(testing::ValuesIn(kFinishes), testing::Values(kF32, q8(64)),
                                          testing::Values(1, 4)),
                         case_name);

TEST(RandomShapes, Matvec) {
  const std::vector<Format> formats = every_format();
  for_random_shapes([&](RandomShape& shape) {
    const Format format = shape.one_of(formats);
    const Finish finish = shape.flag() ? shape.one_of(kEpilogues) : shape.one_of(kFinishes);
    const int cols =
        shape.between(1, std::max(1, 700 / std::max(1, format.group))) * std::max(1, format.group);
    const MatvecKey key{format,
                        shape.between(1, 150),
                        cols,
                        finish.epilogue,
                        shape.pick({1, 2, 4}),
                        finish.affine,
                        shape.flag() ? 1 : shape.between(1, 16)};
    Product product(key, shape.seed());
    product.expect_is_right(*product.check(0, product.units()));
    const int begin = shape.between(0, product.units());
    product.check(begin, shape.between(begin, product.units()));
  });
}

}  // namespace
}  // namespace llamajit::test::matvec_test
