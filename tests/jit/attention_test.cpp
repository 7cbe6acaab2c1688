#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kv_layout.h"
#include "tests/support/kernel_check.h"
#include "tests/support/kv_values.h"

namespace llamajit::test {
namespace {

using jit::AttentionArgs;
using jit::AttentionKey;
using jit::Cursor;
using jit::KvLayout;
using jit::KvType;

struct Call {
  int n_kv_heads;
  int position;
  float magnitude = 1;  // of q; larger ones make the softmax sharper
};

// Every position of the cache holds numbers, also those after the call's, as they do when a text is begun
// anew; they must not count.
struct Inputs {
  std::vector<float> q;
  std::vector<std::byte> keys, values;
};
Inputs random_inputs(const AttentionKey& key, const Call& call) {
  CallMemory source(Edge::back, static_cast<std::uint64_t>(call.position));
  const KvLayout layout(key);
  return {source.random_floats(static_cast<std::size_t>(call.n_kv_heads * key.group * key.head_dim),
                               -call.magnitude, call.magnitude),
          random_keys(layout, call.n_kv_heads, source), random_values(layout, call.n_kv_heads, source)};
}

AttentionArgs make(const AttentionKey& key, const Call& call, const Inputs& inputs, CallMemory& memory) {
  AttentionArgs args{};
  args.q = memory.copy_of("q", inputs.q);
  args.k_cache = memory.copy_of("k_cache", inputs.keys);
  args.v_cache = memory.copy_of("v_cache", inputs.values);
  args.out = memory.allocate<float>("out", inputs.q.size());
  args.scratch = memory.scratch("scratch", static_cast<std::size_t>(key.scratch_floats()));
  args.at = memory.copy_of("at", std::vector<Cursor>{{-1, call.position}});
  args.n_kv_heads = call.n_kv_heads;
  return args;
}

// One query head in double precision.
void expect_head_is_right(const AttentionKey& key, const Call& call, const CallMemory& result, int head) {
  const auto dim = static_cast<std::size_t>(key.head_dim);
  const KvLayout layout(key);
  const auto q = result.view<float>("q").subspan(static_cast<std::size_t>(head) * dim, dim);
  const std::byte* const keys =
      result.view<std::byte>("k_cache").data() + head / key.group * layout.keys_bytes();
  const std::byte* const values =
      result.view<std::byte>("v_cache").data() + head / key.group * layout.values_bytes();
  const auto k = [&](std::size_t p, std::size_t d) {
    return key_value(layout, keys, static_cast<std::int64_t>(p), static_cast<int>(d));
  };
  const auto v = [&](std::size_t p, std::size_t d) {
    return value_value(layout, values, static_cast<std::int64_t>(p), static_cast<int>(d));
  };
  const auto n = static_cast<std::size_t>(call.position) + 1;
  std::vector<double> weights(n);
  double score_error = 0, largest = -1e300, sum = 0;
  for (std::size_t p = 0; p < n; ++p) {
    double norm = 0;
    for (std::size_t d = 0; d < dim; ++d) {
      const double term = double{q[d]} * k(p, d) / std::sqrt(key.head_dim);
      weights[p] += term;
      norm += std::abs(term);
    }
    score_error = std::max(score_error, (key.head_dim / 2 + layout.blocks() + 6) * kEps * norm);
    largest = std::max(largest, weights[p]);
  }
  for (double& w : weights) sum += w = std::exp(w - largest);
  std::vector<double> expected(dim), bounds(dim);
  // Errors of the scores enter as factors of the weights, above and below the fraction.
  // A weight that would be smaller than every normal float is the smallest of these.
  const double relative = 4 * score_error + (static_cast<double>(n) + 41) * kEps;
  for (std::size_t d = 0; d < dim; ++d) {
    for (std::size_t p = 0; p < n; ++p) {
      expected[d] += weights[p] / sum * v(p, d);
      bounds[d] += (weights[p] / sum * relative + 0x1p-125) * std::abs(v(p, d));
    }
  }
  expect_within(fmt::format("{}, position {}, head {}", kernel_name(key), call.position, head),
                result.view<float>("out").subspan(static_cast<std::size_t>(head) * dim, dim), expected,
                bounds);
}

void check(Kernels<AttentionKey>& kernels, const AttentionKey& key, const Call& call) {
  const Inputs inputs = random_inputs(key, call);
  const auto result = kernels.check(
      static_cast<std::uint64_t>(call.position),
      fmt::format("{} kv heads, position {}, magnitude {}", call.n_kv_heads, call.position, call.magnitude),
      [&](CallMemory& memory) { return make(key, call, inputs, memory); });
  for (int head = 0; head < call.n_kv_heads * key.group; ++head)
    expect_head_is_right(key, call, *result, head);
}

class Attention : public testing::TestWithParam<std::tuple<KvType, int>> {
 protected:
  AttentionKey key(int group, int seq_len) const {
    return {std::get<0>(GetParam()), std::get<1>(GetParam()), group, seq_len};
  }
};

TEST_P(Attention, EveryGroupAndPosition) {
  for (int group : {1, 2, 3, 4, 8, 9}) {
    const AttentionKey shape = key(group, 112);
    Kernels kernels(shape);
    for (int position : {0, 1, 2, 15, 16, 17, 31, 100, 111}) {
      if (kSanitized && position > 40 && group % 4 != 1) continue;
      check(kernels, shape, {2, position});
    }
  }
}

TEST_P(Attention, KvHeadsAndSharpness) {
  const AttentionKey shape = key(2, 112);
  Kernels kernels(shape);
  for (int n_kv_heads : {1, 3, 4, 5, 9}) check(kernels, shape, {n_kv_heads, 33});
  for (float magnitude : {0.0F, 1e-6F, 30.0F, 1000.0F}) check(kernels, shape, {1, 40, magnitude});
}

// Around the borders of ranges; sharp ones let single positions outweigh whole ranges.
TEST_P(Attention, SeveralRanges) {
  for (int group : {1, 3, 8}) {
    const AttentionKey shape = key(group, 528);
    Kernels kernels(shape);
    for (int position : {254, 255, 256, 257, 511, 512, 513, 527}) {
      if (kSanitized && group != 1 && position != 513) continue;
      check(kernels, shape, {1, position});
    }
    for (float magnitude : {0.0F, 30.0F, 1000.0F}) check(kernels, shape, {2, 516, magnitude});
  }
}

std::string case_name(const testing::TestParamInfo<std::tuple<KvType, int>>& shape) {
  const auto [type, head_dim] = shape.param;
  return fmt::format("{}_{}", name_of(type), head_dim);
}

INSTANTIATE_TEST_SUITE_P(Grid, Attention,
                         testing::Combine(testing::ValuesIn(kKvTypes),
                                          testing::Values(2, 4, 6, 8, 16, 20, 32, 44, 48, 64, 80, 96, 128,
                                                          256)),
                         case_name);

TEST(Attention, ShortestAndLongCaches) {
  for (int seq_len : {16, 32, 240, 256, 272, 1024}) {
    const AttentionKey key{KvType::f32, 32, 3, seq_len};
    Kernels kernels(key);
    for (int position : {0, seq_len / 2, seq_len - 1}) check(kernels, key, {2, position});
  }
}

}  // namespace
}  // namespace llamajit::test
