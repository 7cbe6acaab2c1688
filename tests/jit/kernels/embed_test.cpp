#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/random_matrix.h"
#include "tests/support/random_shapes.h"

namespace llamajit::test::embed_test {
namespace {

using jit::Cursor;
using jit::EmbedArgs;
using jit::EmbedKey;
using jit::EmbedRow;
using jit::Format;

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
      const std::vector<float> before(static_cast<std::size_t>(key.dim), 0.5F);
      args.out = key.adds() ? memory.copy_of("out", before)
                            : memory.allocate<float>("out", static_cast<std::size_t>(key.dim));
      args.at = memory.copy_of(
          "at", std::vector<Cursor>{key.which == EmbedRow::token ? Cursor{token, -1} : Cursor{-1, token}});
      return args;
    });
    for (int k = 0; k < key.dim; ++k) {
      // A double holds the value exactly: this is the one right float.
      const float value =
          static_cast<float>(table.value(key.which == EmbedRow::first ? 0 : token, k)) * key.scale;
      ASSERT_EQ(result->view<float>("out")[static_cast<std::size_t>(k)], key.adds() ? 0.5F + value : value)
          << kernel_name(key) << ", token " << token << ", column " << k;
    }
  }
}

class Embed : public testing::TestWithParam<Format> {};

TEST_P(Embed, EveryLength) {
  const int step = std::max(1, GetParam().group);
  for (int n = 1; n <= (has_codes(GetParam()) ? 3 : 36); ++n) check({GetParam(), n * step});
  if (has_codes(GetParam())) check({GetParam(), 17 * step});
}

TEST_P(Embed, Scaled) {
  const int step = std::max(1, GetParam().group);
  for (const int n : {1, 3, 8, 17}) check({GetParam(), n * step, 0.3F});
}

TEST_P(Embed, OfPositions) {
  if (has_codes(GetParam())) return;  // the key says so
  for (const int n : {1, 3, 8, 17, 64}) check({GetParam(), n, 1, EmbedRow::position});
}

TEST_P(Embed, OfTheFirstRow) {
  if (has_codes(GetParam())) return;
  for (const int n : {1, 3, 8, 17, 64}) check({GetParam(), n, 1, EmbedRow::first});
}

TEST_P(Embed, RealSizes) {
  const int step = std::max(1, GetParam().group);
  for (int dim : {44, 64, 172, 288, 768, 2048}) {
    check({GetParam(), static_cast<int>(jit::round_up(dim, step))});
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, Embed, testing::ValuesIn(every_format()),
                         [](const auto& shape) { return name_of(shape.param); });

TEST(RandomShapes, Embed) {
  const std::vector<Format> formats = every_format();
  for_random_shapes([&](RandomShape& shape) {
    const Format format = shape.one_of(formats);
    EmbedKey key{format, shape.between(1, has_codes(format) ? 5 : 1200) * std::max(1, format.group)};
    key.scale = shape.pick({1.0F, 0.3F, 8.0F});
    if (!has_codes(format) && shape.flag()) {
      key.scale = 1;
      key.which = shape.pick({EmbedRow::position, EmbedRow::first});
    }
    check(key);
  });
}

}  // namespace
}  // namespace llamajit::test::embed_test
