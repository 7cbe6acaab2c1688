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

constexpr int kSeqLen = 48;

using jit::ElementType;
using jit::KvLayout;

// Position `pos` of each head holds k and v, rounded, and the row's padding zeros; all else is as it was.
void expect_is_right(const KvAppendKey& key, int n_heads, int pos, const CallMemory& result,
                     std::vector<std::byte> k_cache, std::vector<std::byte> v_cache) {
  const KvLayout layout(key);
  const auto k = result.view<float>("k"), v = result.view<float>("v");
  for (int head = 0; head < n_heads; ++head) {
    layout.write_key(k_cache.data() + head * layout.keys_bytes(), pos,
                     &k[static_cast<std::size_t>(head * key.head_dim)]);
    layout.write_value(v_cache.data() + head * layout.values_bytes(), pos,
                       &v[static_cast<std::size_t>(head * key.head_dim)]);
  }
  EXPECT_TRUE(std::ranges::equal(result.view<std::byte>("k_cache"), k_cache))
      << kernel_name(key) << " at " << pos;
  EXPECT_TRUE(std::ranges::equal(result.view<std::byte>("v_cache"), v_cache))
      << kernel_name(key) << " at " << pos;
}

class KvAppend : public testing::TestWithParam<std::tuple<ElementType, int>> {};

TEST_P(KvAppend, WritesItsPositionOnly) {
  const auto [type, head_dim] = GetParam();
  const KvAppendKey key{type, head_dim, kSeqLen};
  const KvLayout layout(key);
  Kernels kernels(key);
  for (int n_heads : {1, 2, 5}) {
    for (int pos : {0, 1, 15, 16, 17, 31, kSeqLen - 1}) {
      const auto values = static_cast<std::size_t>(n_heads * key.head_dim);
      // A pattern of bytes stands there before, so that a stray write shows.
      const std::vector<std::byte> k_cache(static_cast<std::size_t>(n_heads * layout.keys_bytes()),
                                           std::byte{0x5A});
      const std::vector<std::byte> v_cache(static_cast<std::size_t>(n_heads * layout.values_bytes()),
                                           std::byte{0xA5});
      const auto result =
          kernels.check(4, fmt::format("{} heads, position {}", n_heads, pos), [&](CallMemory& memory) {
            KvAppendArgs args{};
            args.k = memory.uniform("k", values);
            args.v = memory.uniform("v", values);
            args.k_cache = memory.copy_of("k_cache", k_cache);
            args.v_cache = memory.copy_of("v_cache", v_cache);
            args.at = memory.copy_of("at", std::vector<Cursor>{{-1, pos}});
            args.n_kv_heads = n_heads;
            return args;
          });
      expect_is_right(key, n_heads, pos, *result, k_cache, v_cache);
    }
  }
}

// Tokens at positions one after the other, with other things between their rows, across groups of sixteen.
TEST_P(KvAppend, SeveralTokens) {
  const auto [type, head_dim] = GetParam();
  const KvAppendKey key{type, head_dim, kSeqLen};
  const KvLayout layout(key);
  Kernels kernels(key);
  constexpr int kHeads = 2;
  const int stride = kHeads * head_dim + 3;
  for (const auto& [pos, n_tokens] : {std::pair{0, 2}, {13, 5}, {0, kSeqLen}}) {
    std::vector<std::byte> k_cache(static_cast<std::size_t>(kHeads * layout.keys_bytes()), std::byte{0x5A});
    std::vector<std::byte> v_cache(static_cast<std::size_t>(kHeads * layout.values_bytes()), std::byte{0xA5});
    const auto values = static_cast<std::size_t>(n_tokens * stride);
    const auto result =
        kernels.check(6, fmt::format("{} tokens from position {}", n_tokens, pos), [&](CallMemory& memory) {
          KvAppendArgs args{};
          args.k = memory.uniform("k", values);
          args.v = memory.uniform("v", values);
          args.k_cache = memory.copy_of("k_cache", k_cache);
          args.v_cache = memory.copy_of("v_cache", v_cache);
          args.at = memory.copy_of("at", std::vector<Cursor>{{-1, pos}});
          args.n_kv_heads = kHeads;
          args.n_tokens = n_tokens;
          args.token_stride = stride;
          return args;
        });
    for (int t = 0; t < n_tokens; ++t) {
      for (int head = 0; head < kHeads; ++head) {
        const auto from = static_cast<std::size_t>(t * stride + head * head_dim);
        layout.write_key(k_cache.data() + head * layout.keys_bytes(), pos + t,
                         &result->view<float>("k")[from]);
        layout.write_value(v_cache.data() + head * layout.values_bytes(), pos + t,
                           &result->view<float>("v")[from]);
      }
    }
    EXPECT_TRUE(std::ranges::equal(result->view<std::byte>("k_cache"), k_cache)) << kernel_name(key);
    EXPECT_TRUE(std::ranges::equal(result->view<std::byte>("v_cache"), v_cache)) << kernel_name(key);
  }
}

// A value is read back as it was written, but for the type's rounding: half a
// step of the last place kept, for q8_0 of its block's largest magnitude / 127.
TEST_P(KvAppend, IsReadBackWithinARounding) {
  const auto [type, head_dim] = GetParam();
  const KvLayout layout(type, head_dim, kSeqLen);
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
    const KvAppendKey key{type, static_cast<int>(special.size()), 16};
    const KvLayout layout(key);
    Kernels kernels(key);
    kernels.check(0, "special values", [&](CallMemory& memory) {
      KvAppendArgs args{};
      args.k = memory.copy_of("k", special);
      args.v = memory.copy_of("v", special);
      args.k_cache = memory.allocate<std::byte>("k_cache", static_cast<std::size_t>(layout.keys_bytes()));
      args.v_cache = memory.allocate<std::byte>("v_cache", static_cast<std::size_t>(layout.values_bytes()));
      args.at = memory.copy_of("at", std::vector<Cursor>{{-1, 3}});
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
    const KvAppendKey key{ElementType::q8_0, head_dim, 16};
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
          args.k_cache = memory.allocate<std::byte>("k_cache", static_cast<std::size_t>(layout.keys_bytes()));
          args.v_cache =
              memory.allocate<std::byte>("v_cache", static_cast<std::size_t>(layout.values_bytes()));
          args.at = memory.copy_of("at", std::vector<Cursor>{{-1, 3}});
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
