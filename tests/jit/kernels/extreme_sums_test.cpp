// The largest sums that codes, subscales and inputs allow: whatever a kernel of codes adds up in 16 bits, in 32 or in floats
// is exact for them, too.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/formats/rows.h"
#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/products.h"

namespace llamajit::test::extreme_sums_test {
namespace {

using jit::CodesLayout;
using jit::FormatTraits;
using jit::kTokenBlock;
using jit::MatmulArgs;
using jit::MatmulKey;

constexpr int kRows = jit::kLanes;

// What all weights of a matrix have.
struct Extreme {
  int code = 0;  // as packed
  bool lifted = false;
  int subscale = 1;
};

int value_of(const FormatTraits& traits, const Extreme& extreme) {
  return jit::looked_up(traits.codebook, extreme.code << traits.shift) + (extreme.lifted ? traits.lift : 0) -
         traits.zero;
}

int codes_of(const FormatTraits& traits) {
  return traits.ternary ? 3 : 1 << traits.bits;
}

// The codes whose values are the least and the greatest, with the subscales farthest from 0.
std::vector<Extreme> extremes_of(const FormatTraits& traits) {
  const auto value = [&](int code) { return value_of(traits, {code}); };
  std::vector<int> codes(static_cast<std::size_t>(codes_of(traits)));
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<int>(i);
  const auto [least, most] = std::ranges::minmax(codes, {}, value);
  std::vector<int> subscales = {1};
  if (traits.has_subscales()) {
    subscales = {traits.greatest_subscale()};
    if (!traits.nibbles) subscales.push_back(-traits.largest_subscale);
  }
  std::vector<Extreme> all;
  for (const int subscale : subscales) {
    all.push_back({least, false, subscale});
    all.push_back({most, traits.lift > 0, subscale});
  }
  return all;
}

// Into records, since no block of a format with a grid has all of these.
std::vector<std::byte> packed_matrix(const FormatTraits& traits, const Extreme& extreme) {
  const jit::Format format{traits.kind, traits.group};
  const CodesLayout layout(format);
  jit::Group group{};
  group.scale = 1;
  if (traits.ternary) std::ranges::fill(group.codes, static_cast<std::uint8_t>(extreme.code));
  const jit::BlockRows source(traits.kind, traits.group);
  std::vector<std::byte> blocks(static_cast<std::size_t>(kRows * source.row_bytes()));
  for (int row = 0; row < kRows; ++row) source.join(group, 0, blocks.data() + row * source.row_bytes());
  const float one = 1;
  std::vector<std::byte> packed(static_cast<std::size_t>(jit::packed_bytes(format, kRows, traits.group)));
  jit::pack_tile({format, kRows, traits.group, blocks, std::as_bytes(std::span(&one, 1))}, 0, packed.data());
  if (traits.ternary) return packed;  // codes as the blocks have them
  fill_record(layout, extreme.code, extreme.subscale, packed.data());
  if (layout.lift > 0) {
    std::fill_n(packed.data() + layout.lifted_at, kRows * sizeof(jit::Group::lifted),
                extreme.lifted ? std::byte{0xFF} : std::byte{0});
  }
  return packed;
}

// Codes 127 or -127 but for the last one, so that sums are no multiples of powers of two, which floats hold more easily.
std::vector<std::int8_t> inputs(int n, int x) {
  std::vector<std::int8_t> codes(static_cast<std::size_t>(n), static_cast<std::int8_t>(x));
  codes.back() = static_cast<std::int8_t>(x > 0 ? x - 1 : x + 1);
  return codes;
}

TEST(ExtremeSums, OfChunksAreExact) {
  for (const FormatTraits& traits : jit::all_format_traits()) {
    const MatmulKey key{{traits.kind, traits.group}, kRows, traits.group, jit::Epilogue::store};
    const auto n = static_cast<std::size_t>(traits.group),
               subgroup = static_cast<std::size_t>(traits.subgroup);
    for (const Extreme& extreme : extremes_of(traits)) {
      const std::vector<std::byte> packed = packed_matrix(traits, extreme);
      for (const int x : {-127, 127}) {
        const std::vector<std::int8_t> token = inputs(traits.group, x);
        std::vector<std::int32_t> offsets;
        std::vector<std::int16_t> subsums;
        std::int64_t inputs_sum = 0;
        for (std::size_t s = 0; s < n; s += subgroup) {
          int sum = 0;
          for (std::size_t i = s; i < s + subgroup; ++i) sum += token[i];
          offsets.push_back(-traits.zero * sum);
          subsums.push_back(static_cast<std::int16_t>(sum));
          inputs_sum += sum;
        }
        const auto rows = [&](const auto& row) { return std::vector(kTokenBlock, &row); };
        const auto sums = std::vector{static_cast<float>(inputs_sum)};
        Kernels kernels(key);
        const std::string what = fmt::format("{}: {} {} x {} x {}", traits.name, extreme.code,
                                             extreme.lifted ? "lifted" : "", extreme.subscale, x);
        const auto result = kernels.check(0, what, [&](CallMemory& memory) {
          MatmulArgs args{};
          args.w = memory.copy_of("w", packed);
          args.xq = {memory.copy_of("codes", matrix_of(rows(token), jit::prepared_stride(traits.group))),
                     memory.copy_of("scales", std::vector(kTokenBlock, 1.0F)),
                     memory.copy_of("offsets", matrix_of(rows(offsets), std::ssize(offsets))),
                     memory.copy_of("sums", matrix_of(rows(sums), 1)),
                     memory.copy_of("subsums", matrix_of(rows(subsums), std::ssize(subsums)))};
          args.scratch = memory.scratch<std::byte>(
              "scratch", static_cast<std::size_t>(matmul_scratch_bytes(key, memory.isa())));
          args.out = memory.allocate<float>(
              "out", static_cast<std::size_t>((kTokenBlock - 1) * jit::row_stride(kRows) + kRows));
          args.unit_end = 1;
          args.n_tokens = kTokenBlock;
          return args;
        });
        const auto expected = static_cast<float>(inputs_sum * value_of(traits, extreme) * extreme.subscale);
        for (const float sum : result->view<float>("out").first(kRows)) EXPECT_EQ(sum, expected) << what;
      }
    }
  }
}

// What layouts say of their sums, by all the numbers that there are.
TEST(ExtremeSums, AreThoseOfTheLayouts) {
  for (const FormatTraits& traits : jit::all_format_traits()) {
    const CodesLayout layout({traits.kind, traits.group});
    std::int64_t farthest = 0, largest = traits.zero;
    for (int code = 0; code < codes_of(traits); ++code) {
      for (const bool lifted : {false, true}) {
        const std::int64_t value = value_of(traits, {code, lifted});
        farthest = std::max(farthest, std::abs(value));
        largest = std::max(largest, value + traits.zero);
      }
    }
    EXPECT_EQ(layout.farthest_code(), farthest) << traits.name;
    EXPECT_EQ(layout.largest_code(), largest) << traits.name;
    constexpr std::int64_t kInput = 127, kWord = 0x7FFF, kExactFloat = 1 << 24;
    const std::int64_t sum = traits.subgroup * kInput * farthest;
    EXPECT_EQ(layout.sums_fit_words(), traits.has_subscales() && sum <= kWord) << traits.name;
    const std::int64_t total = traits.group * kInput * farthest * traits.largest_subscale;
    if (layout.float_parts() > 0) {
      EXPECT_LT(total / layout.float_parts(), kExactFloat) << traits.name;
    }
    if (traits.has_subscales()) {
      EXPECT_LE(total, std::int64_t{0x7FFFFFFF}) << traits.name;
    }
  }
}

// Each code times each subscale that a block has comes back from its byte, and those bytes have room for all.
TEST(ExtremeSums, ByteProductsAreExact) {
  int formats = 0;
  for (const FormatTraits& traits : jit::all_format_traits()) {
    const auto bytes = CodesLayout({traits.kind, traits.group}).byte_products();
    if (!bytes) continue;
    ++formats;
    const int least = traits.nibbles ? 0 : -traits.largest_subscale;
    for (int subscale = least; subscale <= traits.greatest_subscale(); ++subscale) {
      for (int code = 0; code < 1 << traits.bits; ++code) {
        const int product = static_cast<int>(value_of(traits, {code})) * subscale;
        if (traits.odd_products && product % 2 == 0) continue;  // no block holds such a code or subscale
        const int byte = (product + bytes->offset) >> bytes->shift;
        EXPECT_GE(byte, 0) << traits.name;
        EXPECT_LE(byte, 0xFF) << traits.name;
        EXPECT_EQ((byte << bytes->shift) - bytes->offset, product) << traits.name;
      }
    }
  }
  EXPECT_EQ(formats, 4);  // Q2_K, Q3_K, IQ1_S, IQ1_M
}

}  // namespace
}  // namespace llamajit::test::extreme_sums_test
