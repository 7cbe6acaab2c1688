// A K/V head's attention in parts: each part and the merge against their twins, and all together against the
// attention that one thread does alone.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kv_layout.h"
#include "jit/twins/reference.h"
#include "tests/support/kernel_check.h"
#include "tests/support/kv_pages.h"
#include "tests/support/kv_values.h"
#include "tests/support/random_shapes.h"

namespace llamajit::test::attention_split_test {
namespace {

using jit::AttentionArgs;
using jit::AttentionKey;
using jit::AttentionMergeArgs;
using jit::AttentionMergeKey;
using jit::AttentionRangesArgs;
using jit::AttentionRangesKey;
using jit::Cursor;
using jit::ElementType;
using jit::KvLayout;

constexpr int kPositions = 1040;  // five ranges, the last of sixteen positions
constexpr int kRanges = jit::attention_ranges(kPositions);

struct Inputs {
  std::vector<float> q;
  KvPages kv;
};

Inputs random_inputs(const AttentionRangesKey& key, float magnitude) {
  CallMemory source(Edge::back, static_cast<std::uint64_t>(key.head_dim));
  auto q = source.random_floats(static_cast<std::size_t>(key.group * key.head_dim), -magnitude, magnitude);
  return {std::move(q), KvPages::random(KvLayout(key), 1, kPositions, source)};
}

std::size_t records_floats(int n_heads, int head_dim, int ranges) {
  return static_cast<std::size_t>(n_heads * ranges * jit::attention_record(head_dim));
}

// The twins, one after the other, as threads would; then what one thread makes of the same.
void expect_parts_make_the_whole(const AttentionRangesKey& key, Inputs& in, int position, int parts,
                                 const std::vector<float>& sinks = {}) {
  std::vector<float> scratch(static_cast<std::size_t>(key.whole().scratch_floats()));
  AttentionKey whole_key = key.whole();
  whole_key.sinks = !sinks.empty();
  std::vector<float> whole(in.q.size()), merged(in.q.size());
  const Cursor at = in.kv.cursor(position);
  reference(whole_key, AttentionArgs{in.q.data(), whole.data(), scratch.data(), &at, in.kv.keys_at(),
                                     in.kv.values_at(), 1, sinks.data()});
  // Records of ranges that nobody takes must not be read.
  std::vector<float> records(records_floats(key.group, key.head_dim, key.ranges),
                             std::numeric_limits<float>::quiet_NaN());
  for (int part = 0; part < parts; ++part) {
    reference(key, AttentionRangesArgs{in.q.data(), records.data(), scratch.data(), &at, in.kv.keys_at(),
                                       in.kv.values_at(), part, parts});
  }
  reference(AttentionMergeKey{key.head_dim, key.ranges, key.window, whole_key.sinks},
            AttentionMergeArgs{records.data(), merged.data(), &at, key.group, sinks.data()});
  for (std::size_t i = 0; i < whole.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(whole[i]), std::bit_cast<std::uint32_t>(merged[i]))
        << kernel_name(key) << ", position " << position << ", " << parts << " parts, [" << i << "]";
  }
}

class AttentionSplit : public testing::TestWithParam<std::tuple<ElementType, int>> {
 protected:
  AttentionRangesKey key(int group, int window) const {
    return {std::get<0>(GetParam()), std::get<1>(GetParam()), group, kRanges, window};
  }
};

void check_part(Kernels<AttentionRangesKey>& kernels, const AttentionRangesKey& key, const Inputs& in,
                int position, int part, int parts) {
  const std::string what = fmt::format("position {}, part {} of {}", position, part, parts);
  kernels.check(1, what, [&](CallMemory& memory) {
    AttentionRangesArgs args{};
    args.q = memory.copy_of("q", in.q);
    args.records = memory.allocate<float>("records", records_floats(key.group, key.head_dim, kRanges));
    args.scratch = memory.scratch("scratch", static_cast<std::size_t>(key.whole().scratch_floats()));
    const int first = jit::first_seen(position, key.window);
    args.at = memory.addresses("at", std::vector{in.kv.place(memory, "text", position, first)});
    args.keys_at = in.kv.keys_at();
    args.values_at = in.kv.values_at();
    args.part = part;
    args.parts = parts;
    return args;
  });
}

TEST_P(AttentionSplit, PartsAreTheirTwins) {
  for (const auto& [group, window] : {std::pair{1, 0}, {3, 0}, {8, 0}, {1, 600}, {3, 17}, {8, 256}}) {
    if (kSanitized && group != 3) continue;
    const AttentionRangesKey shape = key(group, window);
    const Inputs in = random_inputs(shape, 3);
    Kernels kernels(shape);
    for (const auto& [position, parts] : {std::pair{0, 2}, {255, 1}, {256, 2}, {700, 2}, {1039, 4}}) {
      for (int part = 0; part < parts; part += std::max(1, parts - 1)) {
        check_part(kernels, shape, in, position, part, parts);
      }
    }
  }
}

TEST_P(AttentionSplit, PartsMakeTheWhole) {
  for (const auto& [group, magnitude] : {std::pair{1, 1.0F}, {2, 30.0F}}) {
    Inputs in = random_inputs(key(group, 0), magnitude);
    for (const int window : {0, 1, 16, 100, 257, 600}) {
      for (const int position : {0, 255, 256, 511, 512, 1039}) {
        if (kSanitized && position != 512) continue;
        for (const int parts : {1, 2, 3, 7}) {
          if (window > 0 && parts % 2 == 1) continue;
          expect_parts_make_the_whole(key(group, window), in, position, parts);
          if (parts == 2) {
            expect_parts_make_the_whole(key(group, window), in, position, parts,
                                        std::vector(static_cast<std::size_t>(group), 2 * magnitude));
          }
        }
        if (HasFatalFailure()) return;
      }
    }
  }
}

std::string case_name(const testing::TestParamInfo<std::tuple<ElementType, int>>& shape) {
  const auto [type, head_dim] = shape.param;
  return fmt::format("{}_{}", name_of(type), head_dim);
}

INSTANTIATE_TEST_SUITE_P(Grid, AttentionSplit,
                         testing::Combine(testing::ValuesIn(kKvTypes),
                                          testing::Values(2, 8, 44, 48, 64, 128)),
                         case_name);

class AttentionMerge : public testing::TestWithParam<int> {};

void check_merge(Kernels<AttentionMergeKey>& kernels, const AttentionMergeKey& key, int n_heads, int position,
                 float spread) {
  const std::string what = fmt::format("{} heads, position {}, spread {}", n_heads, position, spread);
  kernels.check(2, what, [&](CallMemory& memory) {
    const auto record = static_cast<std::size_t>(jit::attention_record(key.head_dim));
    const auto behind = static_cast<std::size_t>(jit::round_up(key.head_dim, jit::kLanes));
    auto records = memory.random_floats(records_floats(n_heads, key.head_dim, key.ranges));
    for (std::size_t at = behind; at < records.size(); at += record) {
      records[at] *= spread;
      records[at + 1] = 1 + records[at + 1] * records[at + 1] * 100;
    }
    AttentionMergeArgs args{};
    args.records = memory.copy_of("records", records);
    args.out = memory.allocate<float>("out", static_cast<std::size_t>(n_heads * key.head_dim));
    args.at = memory.copy_of("at", std::vector<Cursor>{{-1, position}});
    args.n_heads = n_heads;
    if (key.sinks) {
      args.sinks = memory.copy_of("sinks", memory.random_floats(static_cast<std::size_t>(n_heads), -3, 3));
    }
    return args;
  });
}

// Records as ranges leave them, of weights that are alike and of weights that are worlds apart.
TEST_P(AttentionMerge, IsItsTwin) {
  const int head_dim = GetParam();
  for (const auto& [ranges, window, sinks] : {std::tuple{2, 0, false},
                                              {2, 0, true},
                                              {3, 0, false},
                                              {8, 0, false},
                                              {3, 17, true},
                                              {8, 256, false},
                                              {8, 1000, false}}) {
    const AttentionMergeKey key{head_dim, ranges, window, sinks};
    Kernels kernels(key);
    for (const int n_heads : {1, 2, 5}) {
      for (const int position : {0, 255, 256, 271, 272, ranges * jit::kAttentionRange - 1}) {
        for (const float spread : {1.0F, 300.0F}) check_merge(kernels, key, n_heads, position, spread);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Grid, AttentionMerge,
                         testing::Values(2, 4, 6, 8, 16, 20, 32, 44, 48, 64, 80, 96, 128, 256),
                         testing::PrintToStringParamName());

TEST(RandomShapes, AttentionSplit) {
  for_random_shapes([](RandomShape& shape) {
    const AttentionRangesKey key{
        shape.pick({ElementType::f32, ElementType::f16, ElementType::bf16, ElementType::q8_0}),
        2 * shape.between(1, 66), shape.between(1, 9), kRanges, shape.flag() ? 0 : shape.between(1, 600)};
    Inputs in = random_inputs(key, shape.pick({1.0F, 30.0F}));
    const int position = shape.between(0, kPositions - 1), parts = shape.between(1, 5);
    Kernels kernels(key);
    check_part(kernels, key, in, position, shape.between(0, parts - 1), parts);
    expect_parts_make_the_whole(key, in, position, parts);
  });
}

}  // namespace
}  // namespace llamajit::test::attention_split_test
