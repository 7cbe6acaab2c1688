#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/random_matrix.h"

namespace llamajit::test {
namespace {

using jit::Cursor;
using jit::EmbedArgs;
using jit::EmbedKey;
using jit::Format;
using jit::FormatKind;

constexpr int kRows = 37;

void check(const EmbedKey& key) {
  std::mt19937_64 random(static_cast<std::uint64_t>(key.dim));
  const RandomMatrix table(key.format, kRows, key.dim, random);
  const std::vector<std::byte> packed = table.packed();
  Kernels kernels(key);
  for (int token : {0, 1, 15, 16, 31, 32, kRows - 1}) {
    const auto result = kernels.check(0, fmt::format("token {}", token), [&](CallMemory& memory) {
      EmbedArgs args{};
      args.table = memory.copy_of("table", packed);
      args.out = memory.allocate<float>("out", static_cast<std::size_t>(key.dim));
      args.at = memory.copy_of("at", std::vector<Cursor>{{token, -1}});
      return args;
    });
    for (int k = 0; k < key.dim; ++k) {
      // A code times a scale is exact in a double, so this is the one right float.
      ASSERT_EQ(result->view<float>("out")[static_cast<std::size_t>(k)],
                static_cast<float>(table.value(token, k)))
          << kernel_name(key) << ", token " << token << ", column " << k;
    }
  }
}

TEST(EmbedF32, EveryTail) {
  for (int dim = 1; dim <= 36; ++dim) check({{FormatKind::f32, 0}, dim});
}

TEST(EmbedF32, RealSizes) {
  for (int dim : {44, 64, 172, 288, 768, 2048}) check({{FormatKind::f32, 0}, dim});
}

class EmbedQ8 : public testing::TestWithParam<int> {};

TEST_P(EmbedQ8, OneGroupAndMore) {
  const Format format{FormatKind::q8_0, GetParam()};
  for (int n_groups : {1, 2, 3, 17}) check({format, n_groups * GetParam()});
}

TEST_P(EmbedQ8, RealSizes) {
  const Format format{FormatKind::q8_0, GetParam()};
  for (int dim : {172, 288, 768}) check({format, static_cast<int>(jit::round_up(dim, GetParam()))});
}

INSTANTIATE_TEST_SUITE_P(Grid, EmbedQ8, testing::ValuesIn(kGroups),
                         [](const auto& shape) { return fmt::format("group_{}", shape.param); });

}  // namespace
}  // namespace llamajit::test
