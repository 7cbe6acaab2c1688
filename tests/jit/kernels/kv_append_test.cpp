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
#include "tests/support/kv_pages.h"
#include "tests/support/kv_values.h"
#include "tests/support/random_shapes.h"

namespace llamajit::test::kv_append_test {
namespace {

using jit::Cursor;
using jit::ElementType;
using jit::KvAppendArgs;
using jit::KvAppendKey;
using jit::KvLayout;

constexpr std::byte kBefore{0x5A};  // what stood there: a pattern, so that a stray write shows

struct Row {
  int text, pos;
};

// Calls with a token a row, of texts of three pages each. Afterwards the rows' positions hold k and v,
// rounded, and zeros as the values' padding; all else is as it was.
void check_rows(Kernels<KvAppendKey>& kernels, const KvAppendKey& key, int n_heads,
                const std::vector<Row>& rows) {
  const int stride = n_heads * key.head_dim + 3;
  const int n_texts = std::ranges::max(rows, {}, &Row::text).text + 1;
  const KvPages untouched(KvLayout(key), n_heads, 3 * jit::kKvPage, kBefore);
  const auto result = kernels.check(
      4, fmt::format("{} heads, {} rows from position {}", n_heads, rows.size(), rows[0].pos),
      [&](CallMemory& memory) {
        const auto floats = rows.size() * static_cast<std::size_t>(stride);
        KvAppendArgs args{};
        args.k = memory.uniform("k", floats);
        args.v = memory.uniform("v", floats);
        std::vector<Cursor> texts, at;
        for (int text = 0; text < n_texts; ++text) {
          texts.push_back(untouched.place(memory, fmt::format("text {}", text), 3 * jit::kKvPage - 1));
        }
        for (const Row& row : rows)
          at.push_back({-1, row.pos, texts[static_cast<std::size_t>(row.text)].pages});
        args.at = memory.addresses("at", at);
        args.keys_at = untouched.keys_at();
        args.values_at = untouched.values_at();
        args.n_kv_heads = n_heads;
        args.n_tokens = static_cast<std::int64_t>(rows.size());
        args.token_stride = stride;
        return args;
      });
  std::vector<KvPages> expected(static_cast<std::size_t>(n_texts), untouched);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    KvPages& pages = expected[static_cast<std::size_t>(rows[i].text)];
    for (int head = 0; head < n_heads; ++head) {
      const std::size_t from =
          i * static_cast<std::size_t>(stride) + static_cast<std::size_t>(head * key.head_dim);
      pages.write_key(head, rows[i].pos, &result->view<float>("k")[from]);
      pages.write_value(head, rows[i].pos, &result->view<float>("v")[from]);
    }
  }
  for (int text = 0; text < n_texts; ++text) {
    for (int page = 0; page < 3; ++page) {
      const auto written = result->view<std::byte>(fmt::format("text {} page {}", text, page));
      EXPECT_TRUE(std::ranges::equal(written, expected[static_cast<std::size_t>(text)].page(page)))
          << kernel_name(key) << ", text " << text << ", page " << page;
    }
  }
}

class KvAppend : public testing::TestWithParam<std::tuple<ElementType, int>> {
 protected:
  KvAppendKey key() const { return {std::get<0>(GetParam()), std::get<1>(GetParam())}; }
};

TEST_P(KvAppend, WritesItsPositionOnly) {
  Kernels kernels(key());
  for (const int pos : {0, 1, 15, 16, 17, 31, 255, 256, 700}) check_rows(kernels, key(), 1, {{0, pos}});
  for (const int n_heads : {2, 5}) {
    for (const int pos : {15, 255, 258}) check_rows(kernels, key(), n_heads, {{0, pos}});
  }
}

// Tokens one after the other, across groups of sixteen and across pages, with other things between their
// rows.
TEST_P(KvAppend, SeveralTokens) {
  Kernels kernels(key());
  for (const auto& [pos, n_tokens] : {std::pair{0, 2}, {13, 5}, {0, 48}, {250, 9}}) {
    std::vector<Row> rows;
    for (int t = 0; t < n_tokens; ++t) rows.push_back({0, pos + t});
    check_rows(kernels, key(), 2, rows);
  }
}

TEST_P(KvAppend, SeveralTexts) {
  Kernels kernels(key());
  check_rows(kernels, key(), 1, {{1, 300}, {0, 5}, {2, 0}, {1, 301}, {0, 767}, {2, 255}});
}

// A value is read back as it was written, but for the type's rounding: half a step of the last place kept,
// for q8_0 of its block's largest magnitude / 127.
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

// One head's x as key and as value.
void check_head(Kernels<KvAppendKey>& kernels, const KvAppendKey& key, const std::string& what,
                const std::vector<float>& x) {
  const KvPages pages(KvLayout(key), 1, 1, kBefore);
  kernels.check(1, what, [&](CallMemory& memory) {
    KvAppendArgs args{};
    args.k = memory.copy_of("k", x);
    args.v = memory.copy_of("v", x);
    args.at = memory.addresses("at", std::vector{pages.place(memory, "text", 3)});
    args.keys_at = pages.keys_at();
    args.values_at = pages.values_at();
    args.n_kv_heads = 1;
    return args;
  });
}

// Values that rounding treats specially: ties, carries into the exponent, subnormals, overflow, zeros.
TEST(KvAppend, RoundsToNearestEven) {
  const std::vector<float> special = {0.0F,         -0.0F,    1.0F,        1.00048828125F, 1.00146484375F,
                                      -1.00390625F, 65504.0F, 65519.0F,    65520.0F,       -1e30F,
                                      6e-8F,        2.9e-8F,  5.96e-8F,    6.1e-5F,        6.09e-5F,
                                      3.38e38F,     1e-40F,   1.01171875F, 2047.99F,       0.33333F};
  for (ElementType type : kKvTypes) {
    const KvAppendKey key{type, static_cast<int>(special.size())};
    Kernels kernels(key);
    check_head(kernels, key, "special values", special);
  }
}

// Blocks that a scale's rules treat specially: tiny magnitudes, zeros, infinities and what is no number.
TEST(KvAppend, UnusualBlocks) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  CallMemory source(Edge::back, 1);
  for (const int head_dim : {4, 32, 44, 64}) {
    const KvAppendKey key{ElementType::q8_0, head_dim};
    Kernels kernels(key);
    for (const float odd : {0.0F, -0.0F, 1e-37F, 1e-31F, -3e38F, kNaN, -kNaN, kInfinity, -kInfinity}) {
      for (const int every : {1, 3}) {
        std::vector<float> x = source.random_floats(static_cast<std::size_t>(head_dim));
        for (std::size_t i = 0; i < x.size(); i += static_cast<std::size_t>(every)) x[i] = odd;
        check_head(kernels, key, fmt::format("every {}. value is {}", every, odd), x);
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

TEST(RandomShapes, KvAppend) {
  for_random_shapes([](RandomShape& shape) {
    const KvAppendKey key{
        shape.pick({ElementType::f32, ElementType::f16, ElementType::bf16, ElementType::q8_0}),
        2 * shape.between(1, 130)};
    Kernels kernels(key);
    std::vector<Row> rows;
    int pos = shape.between(0, 700);
    for (int n = shape.between(1, 40); n > 0; --n) rows.push_back({0, pos++});
    check_rows(kernels, key, shape.between(1, 5), rows);
  });
}

}  // namespace
}  // namespace llamajit::test::kv_append_test
