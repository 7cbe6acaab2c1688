#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/code/code_cache.h"
#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/products.h"
#include "tests/support/random_shapes.h"
#include "tests/support/tile_emulator.h"

namespace llamajit::test::matmul_test {
namespace {

using jit::Epilogue;
using jit::Format;
using jit::kTokenBlock;
using jit::MatmulArgs;
using jit::MatmulKey;
using jit::MatvecKey;
using jit::row_stride;

// A chunk's tokens times one matrix.
class Product {
 public:
  Product(const MatmulKey& key, int most_tokens, std::uint64_t seed)
      : key_(key),
        seed_(seed),
        matrix_(key.format, key.rows, key.cols, {key.epilogue, key.affine}, seed),
        tokens_(key.format, key.cols, padded(most_tokens), seed + 1),
        kernels_(key) {}

  Product& with_tiles(bool tiles) {
    if (!tiles) kernels_.leave_out_tiles();
    return *this;
  }
  int units() const { return matrix_.units(); }

  // The result has rows for whole blocks of tokens, the last one of `rows` values alone.
  std::unique_ptr<CallMemory> check(int n_tokens, int unit_begin, int unit_end) {
    const std::string what = fmt::format("{} tokens, units [{}, {})", n_tokens, unit_begin, unit_end);
    return kernels_.check(seed_, what, [&](CallMemory& memory) {
      MatmulArgs args{};
      args.w = memory.copy_of("w", matrix_.packed());
      tokens_.copy_to(memory, padded(n_tokens), args);
      args.scratch = memory.scratch<std::byte>(
          "scratch", static_cast<std::size_t>(matmul_scratch_bytes(key_, memory.isa())));
      args.out = memory.uniform("out", out_size(n_tokens));
      args.unit_begin = unit_begin;
      args.unit_end = unit_end;
      args.n_tokens = n_tokens;
      if (key_.affine.scale) args.scales = memory.copy_of("scales of W", matrix_.scales());
      if (key_.affine.bias) args.bias = memory.copy_of("bias", matrix_.bias());
      return args;
    });
  }

  void check_whole(int n_tokens) { expect_is_right(*check(n_tokens, 0, units()), n_tokens); }

  // The twin's result against sums in double, rows that fill up the last block included.
  void expect_is_right(const CallMemory& result, int n_tokens) const {
    const std::vector<float> old = before(n_tokens);
    for (int t = 0; t < padded(n_tokens); ++t) {
      const std::vector<double> x = tokens_[t].values(key_.format);
      std::vector<double> expected, bounds;
      for (int row = 0; row < key_.rows; ++row) {
        const Sum sum = matrix_.result(x, row, old[at(t, row)]);
        expected.push_back(sum.value);
        bounds.push_back(sum.bound);
      }
      expect_within(fmt::format("{}, {} tokens, token {}", kernel_name(key_), n_tokens, t),
                    result.view<float>("out").subspan(at(t, 0), static_cast<std::size_t>(key_.rows)),
                    expected, bounds);
    }
  }

  // The twin's result against that of matvec's code on every tier, token by token.
  void expect_is_matvec(const CallMemory& result, int n_tokens) {
    for (const jit::Tier tier : generating_host_tiers()) {
      jit::CodeCache code(jit::Isa{tier});
      const auto matvec =
          code.get(MatvecKey{key_.format, key_.rows, key_.cols, key_.epilogue, 1, key_.affine});
      code.publish();
      std::vector<float> out = before(n_tokens);
      for (int t = 0; t < padded(n_tokens); ++t) {
        Activations& x = tokens_[t];
        matvec({matrix_.packed().data(),
                x.x.data(),
                {x.codes.data(), x.scales.data(), x.offsets.data(), x.sums.data(), x.subsums.data()},
                &out[at(t, 0)],
                0,
                units(),
                matrix_.scales().data(),
                matrix_.bias().data()});
      }
      const auto ours = std::as_bytes(result.view<float>("out"));
      EXPECT_TRUE(std::ranges::equal(ours, std::as_bytes(std::span(out))))
          << kernel_name(key_) << ", " << n_tokens << " tokens, matvec on " << to_string(tier);
    }
  }

 private:
  static int padded(int n_tokens) { return static_cast<int>(jit::round_up(n_tokens, kTokenBlock)); }
  std::size_t at(int token, int row) const {
    return static_cast<std::size_t>(token * row_stride(key_.rows) + row);
  }
  std::size_t out_size(int n_tokens) const { return at(padded(n_tokens) - 1, key_.rows); }
  // Returns what check() found in the result: a seed's first numbers.
  std::vector<float> before(int n_tokens) const {
    return CallMemory(Edge::back, seed_).random_floats(out_size(n_tokens));
  }

  MatmulKey key_;
  std::uint64_t seed_;
  ProductMatrix matrix_;
  TokenActivations tokens_;
  Kernels<MatmulKey> kernels_;
};

void check_whole(const MatmulKey& key, int n_tokens, bool tiles) {
  const auto seed = static_cast<std::uint64_t>(key.rows) * 10007 + static_cast<std::uint64_t>(key.cols);
  Product(key, n_tokens, seed).with_tiles(tiles).check_whole(n_tokens);
}

class Matmul : public testing::TestWithParam<std::tuple<Finish, Format>> {
 protected:
  MatmulKey key(int rows, int columns) const {
    const Finish& finish = std::get<0>(GetParam());
    return {format(), rows, columns, finish.epilogue, finish.affine};
  }
  Format format() const { return std::get<1>(GetParam()); }
  // Every format, and every end of a product for a short and some for a long group.
  bool tiles() const {
    const Finish& finish = std::get<0>(GetParam());
    return tells_for_all() || (finish.epilogue == Epilogue::store && finish.affine == jit::Affine{});
  }
  bool tells_for_all() const { return format() == q8(64) || format().kind == jit::FormatKind::q4_k; }
  // Columns: a number that the format can have, near n.
  int cols(int n) const {
    return format().group == 0 ? n : static_cast<int>(jit::round_up(n, format().group));
  }
};

TEST_P(Matmul, EveryNumberOfTokens) {
  Product product(key(53, cols(44)), 33, 5);
  product.with_tiles(tiles());
  for (int n_tokens : {1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 24, 25, 32, 33}) {
    if (kSanitized && n_tokens % 8 > 1) continue;
    product.check_whole(n_tokens);
  }
}

TEST_P(Matmul, GivesTheBitsOfMatvec) {
  for (int n : {1, 37, 288}) {
    for (int rows : {3, 16, 70}) {
      Product product(key(rows, cols(n)), 17, 6);
      product.with_tiles(tiles());
      for (int n_tokens : {1, 8, 11, 17}) {
        product.expect_is_matvec(*product.check(n_tokens, 0, product.units()), n_tokens);
      }
    }
  }
}

TEST_P(Matmul, OneBlockAndEveryRowTail) {
  for (int rows = 1; rows <= 18; ++rows) check_whole(key(rows, cols(1)), 3, tiles());
}

TEST_P(Matmul, EveryColumnTail) {
  const int step = std::max(format().group, 1);
  for (int n = 1; n <= 35; ++n) {
    const bool few = n * step <= 200 || step == 256;
    if (n * step <= 1200) check_whole(key(21, n * step), 5, tiles() && few);
  }
}

TEST_P(Matmul, OddNumbersOfBlocks) {
  // One to nine tiles: kernels take up to three at once.
  for (int rows : {31, 32, 33, 48, 49, 63, 64, 65, 80, 81, 97, 113, 144}) {
    if (kSanitized && rows % 16 > 1) continue;
    check_whole(key(rows, cols(20)), 9, tiles());
  }
}

TEST_P(Matmul, RealSizes) {
  for (int n : {64, 172, 288, 768, 2048, 5632}) {
    if (kSanitized && n > 768) continue;
    check_whole(key(kSanitized ? 17 : 70, cols(n)), kSanitized ? 3 : 11, tiles() && n <= 288);
  }
}

TEST_P(Matmul, AnySplitOfTheUnitsGivesTheSameAndTouchesItsRowsOnly) {
  for (int rows : {75, 80}) {
    Product product(key(rows, cols(20)), 9, 99);
    product.with_tiles(tells_for_all());
    // The twin leaves other rows as they were, and so must the kernel: all of `out` is compared.
    for (int begin = 0; begin <= product.units(); ++begin) {
      for (int end = begin; end <= product.units(); ++end) {
        for (int n_tokens : {2, 9}) product.check(n_tokens, begin, end);
      }
    }
  }
}

// All weights' codes -128 or 127 and all activations' 127 or -127: what would saturate 16-bit sums.
TEST(MatmulQ8, LargestCodesAreSummedExactly) {
  for (int group : {4, 64, 512}) {
    for (int weight_code : {-128, 127}) {
      for (int x_code : {-127, 127}) {
        const MatmulKey key{q8(group), 48, group, Epilogue::store};
        const auto count = static_cast<std::size_t>(group);
        const std::vector<std::byte> codes(48 * count, static_cast<std::byte>(weight_code));
        const std::vector<float> ones(48, 1.0F);
        std::vector<std::byte> packed(static_cast<std::size_t>(jit::packed_bytes(key.format, 48, group)));
        for (int tile = 0; tile < 3; ++tile) {
          jit::pack_tile({key.format, 48, group, codes, std::as_bytes(std::span(ones))}, tile,
                         packed.data() + tile * jit::tile_bytes(key.format, group));
        }
        const std::vector<std::int8_t> token(count, static_cast<std::int8_t>(x_code));
        Kernels kernels(key);
        const auto result =
            kernels.check(0, fmt::format("{} x {}", weight_code, x_code), [&](CallMemory& memory) {
              const std::vector rows(kTokenBlock, &token);
              MatmulArgs args{};
              args.w = memory.copy_of("w", packed);
              args.xq = {memory.copy_of("codes", matrix_of(rows, jit::prepared_stride(group))),
                         memory.copy_of("scales", std::vector(kTokenBlock, 1.0F)),
                         memory.copy_of("offsets", std::vector(kTokenBlock, -128 * group * x_code)), nullptr,
                         nullptr};
              args.scratch = memory.scratch<std::byte>(
                  "scratch", static_cast<std::size_t>(matmul_scratch_bytes(key, memory.isa())));
              args.out = memory.allocate<float>("out", static_cast<std::size_t>(7 * row_stride(48) + 48));
              args.unit_end = 3;
              args.n_tokens = kTokenBlock;
              return args;
            });
        for (std::int64_t t = 0; t < kTokenBlock; ++t) {
          for (float sum :
               result->view<float>("out").subspan(static_cast<std::size_t>(t * row_stride(48)), 48))
            EXPECT_EQ(sum, static_cast<float>(group * weight_code * x_code));
        }
      }
    }
  }
}

// Kernels with tiles take 32 tokens at once, 16 and 8.
TEST(MatmulTiles, BlocksOfTokensOfEverySize) {
  const std::uint64_t before = emulated_instructions();
  for (const jit::FormatKind kind : {jit::FormatKind::q4_1, jit::FormatKind::q2_k, jit::FormatKind::q4_k,
                                     jit::FormatKind::q6_k, jit::FormatKind::tq2_0}) {
    const Format format{kind, jit::format_traits(kind)->group};
    Product product({format, 35, 3 * format.group, Epilogue::add}, 97, 8);
    for (int n_tokens : {8, 16, 24, 32, 40, 41, 48, 49, 56, 64, 65, 97}) product.check_whole(n_tokens);
  }
  // The first one was emulated as the program began, where any is.
  if (tile_kernels_run() && before > 0) {
    EXPECT_GT(emulated_instructions(), before);
  }
}

// Codes -32 or 31 times subscales -128 or 127, and all activations 127 or -127.
TEST(MatmulTiles, LargestCodesTimesSubscalesAreSummedExactly) {
  constexpr int kGroup = 256, kScalesAt = 192, kRows = 16;
  const MatmulKey key{{jit::FormatKind::q6_k, kGroup}, kRows, kGroup, Epilogue::store};
  for (const int code : {-32, 31}) {
    for (const int subscale : {-128, 127}) {
      std::vector<std::byte> block(210, std::byte{code < 0 ? std::uint8_t{0} : std::uint8_t{0xFF}});
      std::fill(block.begin() + kScalesAt, block.begin() + 208, static_cast<std::byte>(subscale));
      block[208] = std::byte{0x00};  // 1 as f16
      block[209] = std::byte{0x3C};
      std::vector<std::byte> rows;
      for (int row = 0; row < kRows; ++row) rows.insert(rows.end(), block.begin(), block.end());
      std::vector<std::byte> packed(static_cast<std::size_t>(jit::packed_bytes(key.format, kRows, kGroup)));
      jit::pack_tile({key.format, kRows, kGroup, rows, {}}, 0, packed.data());
      for (const int x_code : {-127, 127}) {
        const std::vector<std::int8_t> token(kGroup, static_cast<std::int8_t>(x_code));
        Kernels kernels(key);
        const auto result =
            kernels.check(0, fmt::format("{} x {} x {}", code, subscale, x_code), [&](CallMemory& memory) {
              MatmulArgs args{};
              args.w = memory.copy_of("w", packed);
              args.xq = {memory.copy_of("codes", matrix_of(std::vector(kTokenBlock, &token),
                                                           jit::prepared_stride(kGroup))),
                         memory.copy_of("scales", std::vector(kTokenBlock, 1.0F)),
                         memory.copy_of("offsets", std::vector(kTokenBlock * 16, -32 * 16 * x_code)), nullptr,
                         nullptr};
              args.scratch = memory.scratch<std::byte>(
                  "scratch", static_cast<std::size_t>(matmul_scratch_bytes(key, memory.isa())));
              args.out =
                  memory.allocate<float>("out", static_cast<std::size_t>(7 * row_stride(kRows) + kRows));
              args.unit_end = 1;
              args.n_tokens = kTokenBlock;
              return args;
            });
        for (const float sum : result->view<float>("out").first(kRows)) {
          EXPECT_EQ(sum, static_cast<float>(kGroup * code * subscale * x_code));
        }
      }
    }
  }
}

// Rows that only fill up the last block hold whatever an earlier chunk left there; nothing of it may get into
// the tokens' results.
TEST(MatmulF32, TokensDoNotDependOnTheRowsThatFillUpTheBlock) {
  const MatmulKey key{kF32, 33, 44, Epilogue::add};
  const ProductMatrix matrix(key.format, key.rows, key.cols, {key.epilogue}, 7);
  const auto x_stride = static_cast<std::size_t>(row_stride(key.cols));
  const auto out_stride = static_cast<std::size_t>(row_stride(key.rows));
  constexpr std::size_t kTokens = 3;
  Kernels kernels(key);
  std::vector<std::vector<float>> results;
  for (float filling : {0.0F, 1e38F, poison<float>()}) {
    const auto result = kernels.check(1, fmt::format("filled up with {}", filling), [&](CallMemory& memory) {
      std::vector<float> x = memory.random_floats(kTokenBlock * x_stride);
      std::fill(x.begin() + static_cast<std::ptrdiff_t>(kTokens * x_stride), x.end(), filling);
      MatmulArgs args{};
      args.w = memory.copy_of("w", matrix.packed());
      args.x = memory.copy_of("x", x);
      args.out = memory.uniform("out", kTokenBlock * out_stride);
      args.unit_end = 3;
      args.n_tokens = kTokens;
      return args;
    });
    const auto tokens = result->view<float>("out").first(kTokens * out_stride);
    results.emplace_back(tokens.begin(), tokens.end());
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

std::string case_name(const testing::TestParamInfo<std::tuple<Finish, Format>>& shape) {
  return product_name(std::get<0>(shape.param), std::get<1>(shape.param));
}

INSTANTIATE_TEST_SUITE_P(Grid, Matmul,
                         testing::Combine(testing::ValuesIn(grid_epilogues()),
                                          testing::ValuesIn(every_format())),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Finishes, Matmul,
                         testing::Combine(testing::ValuesIn(kFinishes), testing::Values(kF32, q8(64))),
                         case_name);

TEST(RandomShapes, Matmul) {
  const std::vector<Format> formats = every_format();
  for_random_shapes([&](RandomShape& shape) {
    const Format format = shape.one_of(formats);
    const Finish finish = shape.flag() ? shape.one_of(kEpilogues) : shape.one_of(kFinishes);
    const int cols =
        shape.between(1, std::max(1, 600 / std::max(1, format.group))) * std::max(1, format.group);
    const MatmulKey key{format, shape.between(1, 100), cols, finish.epilogue, finish.affine};
    const int tokens = shape.between(1, 40);
    Product product(key, tokens, shape.seed());
    product.with_tiles(shape.between(1, 16) == 1);
    product.check_whole(tokens);
    const int begin = shape.between(0, product.units());
    product.check(tokens, begin, shape.between(begin, product.units()));
  });
}

}  // namespace
}  // namespace llamajit::test::matmul_test
