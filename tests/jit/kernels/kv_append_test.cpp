#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kv_layout.h"
#include "tests/support/kernel_check.h"
#include "tests/support/kv_values.h"

namespace llamajit::test {
namespace {

using jit::Cursor;
using jit::KvAppendArgs;
using jit::KvAppendKey;

using jit::ElementType;
using jit::KvLayout;

// Pages with a pattern of bytes, so that a stray write shows.
PagesOfLayer patterned(const KvAppendKey& key, int n_heads, std::size_t n_pages) {
  const KvLayout layout(key);
  const auto bytes = static_cast<std::size_t>(n_heads * (layout.keys_bytes() + layout.values_bytes()));
  return {layout, n_heads, {n_pages, std::vector<std::byte>(bytes, std::byte{0x5A})}};
}

// Rows of two sequences: each token at a position of its own, with other things between the rows.
void check_rows(Kernels<KvAppendKey>& kernels, const KvAppendKey& key, int n_heads,
                const std::vector<std::pair<int, int>>& places, const std::string& what) {
  const int stride = n_heads * key.head_dim + 3;
  const auto n = static_cast<int>(places.size());
  std::vector<PagesOfLayer> sequences(2, patterned(key, n_heads, 2));
  const auto result = kernels.check(6, what, [&](CallMemory& memory) {
    KvAppendArgs args{};
    const auto values = static_cast<std::size_t>(n * stride);
    args.k = memory.uniform("k", values);
    args.v = memory.uniform("v", values);
    std::byte** const tables[] = {table_of(sequences[0].pages, memory, "a"),
                                  table_of(sequences[1].pages, memory, "b")};
    std::vector<Cursor> at;
    for (const auto& [sequence, pos] : places) at.push_back({-1, pos, tables[sequence]});
    args.at = cursors(at, memory);
    args.values_at = sequences[0].values_at();
    args.n_kv_heads = n_heads;
    args.n_tokens = n;
    args.token_stride = stride;
    return args;
  });
  const auto k = result->view<float>("k"), v = result->view<float>("v");
  for (int t = 0; t < n; ++t) {
    const auto& [sequence, pos] = places[static_cast<std::size_t>(t)];
    PagesOfLayer& cache = sequences[static_cast<std::size_t>(sequence)];
    for (int head = 0; head < n_heads; ++head) {
      const auto from = static_cast<std::size_t>(t * stride + head * key.head_dim);
      cache.layout.write_key(cache.keys(pos / jit::kKvPage, head), pos % jit::kKvPage, &k[from]);
      cache.layout.write_value(cache.values(pos / jit::kKvPage, head), pos % jit::kKvPage, &v[from]);
    }
  }
  for (const auto& [name, page] : {std::pair{"a0", &sequences[0].pages[0]},
                                   {"a1", &sequences[0].pages[1]},
                                   {"b0", &sequences[1].pages[0]},
                                   {"b1", &sequences[1].pages[1]}}) {
    EXPECT_TRUE(std::ranges::equal(result->view<std::byte>(name), *page))
        << kernel_name(key) << ", " << what << name;
  }
}

class KvAppend : public testing::TestWithParam<std::tuple<ElementType, int>> {};

TEST_P(KvAppend, WritesItsPositionOnly) {
  const auto [type, head_dim] = GetParam();
  const KvAppendKey key{type, head_dim};
  Kernels kernels(key);
  for (const int n_heads : {1, 2, 5}) {
    for (const int pos : {0, 1, 15, 16, 17, 31, 255, 256, 300}) {
      check_rows(kernels, key, n_heads, {{0, pos}}, fmt::format("{} heads, position {}", n_heads, pos));
    }
  }
}

// Tokens at positions one after the other, across groups of sixteen and pages, and tokens of several
// sequences.
TEST_P(KvAppend, SeveralTokens) {
  const auto [type, head_dim] = GetParam();
  const KvAppendKey key{type, head_dim};
  Kernels kernels(key);
  std::vector<std::pair<int, int>> run;
  for (int pos = 240; pos < 275; ++pos) run.emplace_back(0, pos);
  check_rows(kernels, key, 2, {{0, 0}, {0, 1}}, "two tokens");
  check_rows(kernels, key, 2, run, "across pages");
  check_rows(kernels, key, 2, {{1, 17}, {0, 300}, {1, 18}, {0, 3}, {1, 256}}, "two sequences");
}

// A value is read back as it was written, but for the type's rounding: half a
// step of the last place kept, for q8_0 of its block's largest magnitude / 127.
TEST_P(KvAppend, IsReadBackWithinARounding) {
  const auto [type, head_dim] = GetParam();
  const KvLayout layout(type, head_dim);
  constexpr int kPos = 21;
  CallMemory memory(Edge::back, 9);
  const std::vector<float> x = memory.random_floats(static_cast<std::size_t>(head_dim), -3, 3);
  std::vector<std::byte> keys(static_cast<std::size_t>(layout.keys_bytes()));
  std::vector<std::byte> values(static_cast<std::size_t>(layout.values_bytes()));
  layout.write_key(keys.data(), kPos, x.data());
  layout.write_value(values.data(), kPos, x.data());
  for (int begin = 0; begin < head_dim; begin += jit::kKvBlock) {
    const auto block = std::span(x)
                           .subspan(static_cast<std::size_t>(begin))
                           .first(static_cast<std::size_t>(std::min(jit::kKvBlock, head_dim - begin)));
    float largest = 0;
    for (const float value : block) largest = std::max(largest, std::abs(value));
    for (std::size_t i = 0; i < block.size(); ++i) {
      const double bound = type == ElementType::f32    ? 0
                           : type == ElementType::f16  ? std::abs(block[i]) * 0x1p-11 + 0x1p-25
                           : type == ElementType::bf16 ? std::abs(block[i]) * 0x1p-8
                                                       : largest / 127.0 * 0.5001;
      const int d = begin + static_cast<int>(i);
      EXPECT_LE(std::abs(key_value(layout, keys.data(), kPos, d) - double{block[i]}), bound) << d;
      EXPECT_LE(std::abs(value_value(layout, values.data(), kPos, d) - double{block[i]}), bound) << d;
    }
  }
}

// Values that rounding treats specially: ties, carries into the exponent, subnormals, overflow, zeros.
TEST(KvAppend, RoundsToNearestEven) {
  const std::vector<float> special = {0.0F,         -0.0F,    1.0F,        1.00048828125F, 1.00146484375F,
                                      -1.00390625F, 65504.0F, 65519.0F,    65520.0F,       -1e30F,
                                      6e-8F,        2.9e-8F,  5.96e-8F,    6.1e-5F,        6.09e-5F,
                                      3.38e38F,     1e-40F,   1.01171875F, 2047.99F,       0.33333F};
  for (ElementType type : kKvTypes) {
    const KvAppendKey key{type, static_cast<int>(special.size())};
    const KvLayout layout(key);
    Kernels kernels(key);
    kernels.check(0, "special values", [&](CallMemory& memory) {
      KvAppendArgs args{};
      args.k = memory.copy_of("k", special);
      args.v = memory.copy_of("v", special);
      args.at = cursors({{-1, 3, table_of(patterned(key, 1, 1).pages, memory)}}, memory);
      args.values_at = layout.keys_bytes();
      args.n_kv_heads = 1;
      return args;
    });
  }
}

// Blocks that a scale's rules treat specially: tiny magnitudes, zeros, infinities and what is no number.
TEST(KvAppend, UnusualBlocks) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const int head_dim : {4, 32, 44, 64}) {
    const KvAppendKey key{ElementType::q8_0, head_dim};
    const KvLayout layout(key);
    Kernels kernels(key);
    for (const float odd : {0.0F, -0.0F, 1e-37F, 1e-31F, -3e38F, kNaN, -kNaN, kInfinity, -kInfinity}) {
      for (const int every : {1, 3}) {
        kernels.check(1, fmt::format("every {}. value is {}", every, odd), [&](CallMemory& memory) {
          std::vector<float> x = memory.random_floats(static_cast<std::size_t>(head_dim));
          for (std::size_t i = 0; i < x.size(); i += static_cast<std::size_t>(every)) x[i] = odd;
          KvAppendArgs args{};
          args.k = memory.copy_of("k", x);
          args.v = memory.copy_of("v", x);
          args.at = cursors({{-1, 3, table_of(patterned(key, 1, 1).pages, memory)}}, memory);
          args.values_at = layout.keys_bytes();
          args.n_kv_heads = 1;
          return args;
        });
      }
    }
  }
}

std::string case_name(const testing::TestParamInfo<std::tuple<ElementType, int>>& shape) {
  const auto [type, head_dim] = shape.param;
  return fmt::format("{}_{}", name_of(type), head_dim);
}

INSTANTIATE_TEST_SUITE_P(Grid, KvAppend,
                         testing::Combine(testing::ValuesIn(kKvTypes),
                                          testing::Values(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
                                                          16, 17, 20, 32, 44, 48, 64, 80, 96, 128, 256)),
                         case_name);

}  // namespace
}  // namespace llamajit::test
