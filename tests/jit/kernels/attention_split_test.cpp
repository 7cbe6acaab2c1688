// A K/V head's attention in parts: each part and the merge against their twins, and all together against the
// attention that one thread does alone.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kv_layout.h"
#include "jit/twins/reference.h"
#include "tests/support/kernel_check.h"
#include "tests/support/kv_values.h"

namespace llamajit::test {
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

constexpr int kSeqLen = 1040;  // five ranges, the last of sixteen positions

constexpr int kRanges = jit::attention_ranges(kSeqLen);

struct Inputs {
  std::vector<float> q;
  PagesOfLayer cache;
};

Inputs random_inputs(const AttentionRangesKey& key, float magnitude) {
  CallMemory source(Edge::back, static_cast<std::uint64_t>(key.head_dim));
  return {source.random_floats(static_cast<std::size_t>(key.group * key.head_dim), -magnitude, magnitude),
          random_pages(KvLayout(key), 1, kSeqLen, source)};
}

std::size_t records_floats(int n_heads, int head_dim, int ranges) {
  return static_cast<std::size_t>(n_heads * ranges * jit::attention_record(head_dim));
}

// The twins, one after the other, as threads would; then what one thread makes of the same.
void expect_parts_make_the_whole(const AttentionRangesKey& key, Inputs& in, int position, int parts) {
  std::vector<float> scratch(static_cast<std::size_t>(key.whole().scratch_floats()));
  std::vector<float> whole(in.q.size()), merged(in.q.size());
  std::vector<std::byte*> table;
  for (std::vector<std::byte>& page : in.cache.pages) table.push_back(page.data());
  const Cursor at{-1, position, table.data()};
  reference(key.whole(),
            AttentionArgs{in.q.data(), whole.data(), scratch.data(), &at, 0, in.cache.values_at(), 1});
  std::vector<float> records(records_floats(key.group, key.head_dim, key.ranges), -1e30F);
  for (int part = 0; part < parts; ++part) {
    reference(key, AttentionRangesArgs{in.q.data(), records.data(), scratch.data(), &at, 0,
                                       in.cache.values_at(), part, parts});
  }
  reference(AttentionMergeKey{key.head_dim, key.ranges, key.window},
            AttentionMergeArgs{records.data(), merged.data(), &at, key.group});
  for (std::size_t i = 0; i < whole.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(whole[i]), std::bit_cast<std::uint32_t>(merged[i]))
        << kernel_name(key) << ", position " << position << ", " << parts << " parts, [" << i << "]";
  }
}

class AttentionSplit : public testing::TestWithParam<std::tuple<ElementType, int>> {
 protected:
  AttentionRangesKey key(int group, int window = 0) const {
    return {std::get<0>(GetParam()), std::get<1>(GetParam()), group, kRanges, window};
  }
};

TEST_P(AttentionSplit, PartsAreTheirTwins) {
  for (const auto& [group, window] : {std::pair{1, 0}, {3, 0}, {8, 0}, {1, 1}, {3, 300}, {8, 512}}) {
    if (kSanitized && group != 3) continue;
    const AttentionRangesKey shape = key(group, window);
    const Inputs in = random_inputs(shape, 3);
    Kernels kernels(shape);
    for (const auto& [position, parts] : {std::pair{0, 2}, {255, 1}, {256, 2}, {700, 2}, {1039, 4}}) {
      for (int part = 0; part < parts; part += std::max(1, parts - 1)) {
        kernels.check(1, fmt::format("position {}, part {} of {}", position, part, parts),
                      [&, position = position, parts = parts](CallMemory& memory) {
                        AttentionRangesArgs args{};
                        args.q = memory.copy_of("q", in.q);
                        args.values_at = in.cache.values_at();
                        args.records = memory.allocate<float>(
                            "records", records_floats(shape.group, shape.head_dim, kRanges));
                        args.scratch = memory.scratch(
                            "scratch", static_cast<std::size_t>(shape.whole().scratch_floats()));
                        args.at = cursors({{-1, position, table_of(in.cache.pages, memory)}}, memory);
                        args.part = part;
                        args.parts = parts;
                        return args;
                      });
      }
    }
  }
}

TEST_P(AttentionSplit, PartsMakeTheWhole) {
  for (const auto& [group, magnitude, window] :
       {std::tuple{1, 1.0F, 0}, {2, 30.0F, 0}, {2, 1.0F, 16}, {1, 1.0F, 257}, {2, 3.0F, 600}}) {
    const AttentionRangesKey shape = key(group, window);
    Inputs in = random_inputs(shape, magnitude);
    for (const int position : {0, 255, 256, 511, 512, 1039}) {
      if (kSanitized && position != 512) continue;
      for (const int parts : {1, 2, 3, 7}) expect_parts_make_the_whole(shape, in, position, parts);
      if (HasFatalFailure()) return;
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

// Records as ranges leave them, of weights that are alike and of weights that are worlds apart.
TEST_P(AttentionMerge, IsItsTwin) {
  const int head_dim = GetParam();
  for (const auto& [seq_len, window] : {std::pair{272, 0}, {512, 0}, {2048, 0}, {2048, 300}}) {
    const int ranges = jit::attention_ranges(seq_len);
    const AttentionMergeKey key{head_dim, ranges, window};
    Kernels kernels(key);
    for (const int n_heads : {1, 2, 5}) {
      for (const int position : {0, 255, 256, seq_len - 1}) {
        for (const float spread : {1.0F, 300.0F}) {
          kernels.check(2, fmt::format("{} heads, position {}, spread {}", n_heads, position, spread),
                        [&](CallMemory& memory) {
                          const auto record = static_cast<std::size_t>(jit::attention_record(head_dim));
                          const auto behind = static_cast<std::size_t>(jit::round_up(head_dim, jit::kLanes));
                          auto records = memory.random_floats(records_floats(n_heads, head_dim, ranges));
                          for (std::size_t at = behind; at < records.size(); at += record) {
                            records[at] *= spread;
                            records[at + 1] = 1 + records[at + 1] * records[at + 1] * 100;
                          }
                          AttentionMergeArgs args{};
                          args.records = memory.copy_of("records", records);
                          args.out =
                              memory.allocate<float>("out", static_cast<std::size_t>(n_heads * head_dim));
                          args.at = cursors({{-1, position}}, memory);
                          args.n_heads = n_heads;
                          return args;
                        });
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Grid, AttentionMerge,
                         testing::Values(2, 4, 6, 8, 16, 20, 32, 44, 48, 64, 80, 96, 128, 256),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace llamajit::test
