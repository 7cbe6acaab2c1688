#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels.h"
#include "tests/support/kernel_check.h"

namespace llamajit::test {
namespace {

using jit::Cursor;
using jit::kLanes;
using jit::KvAppendArgs;
using jit::KvAppendKey;

constexpr int kSeqLen = 48;

// Position `pos` of each head holds k and v, by the layout's definition; all else is as it was.
void expect_is_right(const KvAppendKey& key, int n_heads, int pos, const CallMemory& result,
                     std::vector<float> k_cache, std::vector<float> v_cache) {
  const auto k = result.view<float>("k"), v = result.view<float>("v");
  for (int head = 0; head < n_heads; ++head) {
    for (int d = 0; d < key.head_dim; ++d) {
      const auto from = static_cast<std::size_t>(head * key.head_dim + d);
      const int group = head * (kSeqLen / kLanes) + pos / kLanes;
      k_cache[static_cast<std::size_t>((group * key.head_dim + d) * kLanes + pos % kLanes)] = k[from];
      v_cache[static_cast<std::size_t>((head * kSeqLen + pos) * key.head_dim + d)] = v[from];
    }
  }
  EXPECT_TRUE(std::ranges::equal(result.view<float>("k_cache"), k_cache))
      << kernel_name(key) << " at " << pos;
  EXPECT_TRUE(std::ranges::equal(result.view<float>("v_cache"), v_cache))
      << kernel_name(key) << " at " << pos;
}

class KvAppend : public testing::TestWithParam<int> {};

TEST_P(KvAppend, WritesItsPositionOnly) {
  const KvAppendKey key{GetParam(), kSeqLen};
  Kernels kernels(key);
  for (int n_heads : {1, 2, 5}) {
    for (int pos : {0, 1, 15, 16, 17, 31, kSeqLen - 1}) {
      const auto values = static_cast<std::size_t>(n_heads * key.head_dim);
      std::vector<float> k_cache, v_cache;
      const auto result =
          kernels.check(4, fmt::format("{} heads, position {}", n_heads, pos), [&](CallMemory& memory) {
            k_cache = memory.random_floats(values * kSeqLen);
            v_cache = memory.random_floats(values * kSeqLen);
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

INSTANTIATE_TEST_SUITE_P(Grid, KvAppend,
                         testing::Values(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 20, 32,
                                         44, 48, 64, 80, 96, 128, 256),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace llamajit::test
