// Products at the ends of what numbers can be: the largest codes and subscales, subnormal and huge floats.
#include <algorithm>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/formats/rows.h"
#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/products.h"

namespace llamajit::test::matvec_ends_test {
namespace {

using jit::Epilogue;
using jit::Format;
using jit::FormatKind;
using jit::MatvecArgs;
using jit::MatvecKey;

// All weights' codes -128 or 127 and all activations' 127 or -127: what would saturate 16-bit sums.
TEST(MatvecQ8, LargestCodesAreSummedExactly) {
  for (int group : {4, 64, 512}) {
    for (int weight_code : {-128, 127}) {
      for (int x_code : {-127, 127}) {
        const MatvecKey key{q8(group), 16, group, Epilogue::store};
        const std::vector<std::byte> codes(static_cast<std::size_t>(16 * group),
                                           static_cast<std::byte>(weight_code));
        const std::vector<float> ones(16, 1.0F);
        std::vector<std::byte> packed(static_cast<std::size_t>(jit::packed_bytes(key.format, 16, group)));
        jit::pack_tile({key.format, 16, group, codes, std::as_bytes(std::span(ones))}, 0, packed.data());
        Kernels kernels(key);
        const auto result =
            kernels.check(0, fmt::format("{} x {}", weight_code, x_code), [&](CallMemory& memory) {
              const auto count = static_cast<std::size_t>(group);
              MatvecArgs args{};
              args.w = memory.copy_of("w", packed);
              args.xq = {memory.copy_of("codes", std::vector(count, static_cast<std::int8_t>(x_code))),
                         memory.copy_of("scales", std::vector{1.0F}),
                         memory.copy_of("offsets", std::vector{-128 * group * x_code}), nullptr, nullptr};
              args.out = memory.allocate<float>("out", 16);
              args.unit_end = 1;
              return args;
            });
        for (float sum : result->view<float>("out"))
          EXPECT_EQ(sum, static_cast<float>(group * weight_code * x_code));
      }
    }
  }
}

// The smallest and the largest scale of a subgroup that a format can store.
std::vector<int> extreme_subscales(FormatKind kind) {
  switch (kind) {
    case FormatKind::q2_k:
      return {0, 15};
    case FormatKind::q4_k:
    case FormatKind::q5_k:
      return {0, 63};
    case FormatKind::q3_k:
    case FormatKind::iq4_xs:
    case FormatKind::iq4_k:
    case FormatKind::iq5_k:
      return {-32, 31};
    case FormatKind::q6_k:
    case FormatKind::iq6_k:
      return {-128, 127};
    case FormatKind::iq2_k:
      return {-8, 7};
    case FormatKind::iq3_k:
      return {-31, 31};
    case FormatKind::iq2_ks:
    case FormatKind::iq3_ks:
      return {-16, 15};
    case FormatKind::iq4_ks:
    case FormatKind::iq4_kss:
    case FormatKind::iq5_ks:
      return {-127, 127};
    case FormatKind::iq2_xxs:
    case FormatKind::iq2_xs:
    case FormatKind::iq2_s:
    case FormatKind::iq3_xxs:
    case FormatKind::iq3_s:
      return {1, 31};
    case FormatKind::iq1_s:
    case FormatKind::iq1_m:
      return {1, 15};
    default:
      return {1};
  }
}

// The same of blocks: whatever sums stay within 16 bits, the largest do, and totals within 32.
TEST(MatvecBlocks, LargestCodesAreSummedExactly) {
  for (const jit::FormatTraits& traits : jit::all_format_traits()) {
    for (const int subscale : extreme_subscales(traits.kind)) {
      const MatvecKey key{{traits.kind, traits.group}, 16, traits.group, Epilogue::store};
      jit::Group group{};
      const int digits = traits.ternary ? 3 : 1 << traits.bits;
      int code = (digits - 1) << traits.shift;
      if (traits.codebook != nullptr) {
        const jit::CodesLayout layout(key.format);
        code = static_cast<int>(std::ranges::max_element(layout.entries()) - layout.entries().begin());
      }
      const bool has_grid = traits.entry > 1;  // which has no entry of such codes alone
      std::ranges::fill(group.codes, static_cast<std::uint8_t>(has_grid ? 0 : code));
      std::ranges::fill(group.subscales, static_cast<std::int8_t>(subscale));
      const int submin = traits.mins == jit::Mins::each ? extreme_subscales(traits.kind).back() : 1;
      std::ranges::fill(group.submins, static_cast<std::uint8_t>(submin));
      group.lifted = traits.lift > 0 ? 0xFFFF : 0;
      group.scale = 1.0F;
      group.min = traits.mins == jit::Mins::none ? 0.0F : -1.0F;
      const jit::BlockRows rows(traits.kind, traits.group);
      std::vector<std::byte> blocks(static_cast<std::size_t>(16 * rows.row_bytes()));
      for (int row = 0; row < 16; ++row)
        rows.join(group, 0, &blocks[static_cast<std::size_t>(row * rows.row_bytes())]);
      const std::vector<float> ones(1, 1.0F);
      std::vector<std::byte> packed(static_cast<std::size_t>(jit::packed_bytes(key.format, 16, key.cols)));
      const jit::SourceMatrix source{key.format, 16, key.cols, blocks, std::as_bytes(std::span(ones))};
      jit::pack_tile(source, 0, packed.data());
      if (has_grid) fill_record(jit::CodesLayout(key.format), code, subscale, packed.data());
      const jit::InputFormat input = *input_format(key.format);
      const auto subgroups = static_cast<std::size_t>(input.subgroups(key.cols));
      for (const int x : {-127, 127}) {
        Kernels kernels(key);
        const int sum = input.subgroup * x;  // of a subgroup's codes
        const auto result =
            kernels.check(0, fmt::format("subscale {}, x {}", subscale, x), [&](CallMemory& memory) {
              const auto n = static_cast<std::size_t>(key.cols);
              MatvecArgs args{};
              args.w = memory.copy_of("w", packed);
              args.xq = {memory.copy_of("codes", std::vector(n, static_cast<std::int8_t>(x))),
                         memory.copy_of("scales", std::vector{1.0F}),
                         memory.copy_of("offsets", std::vector(subgroups, -input.zero * sum)),
                         memory.copy_of("sums", std::vector(subgroups, static_cast<float>(sum))),
                         memory.copy_of("subsums", std::vector(subgroups, static_cast<std::int16_t>(sum)))};
              args.out = memory.allocate<float>("out", 16);
              args.unit_end = 1;
              return args;
            });
        const int value = jit::looked_up(traits.codebook, code) + traits.lift - traits.zero;
        const auto total = static_cast<float>(std::int64_t{key.cols} * x * value * subscale);
        const double minima = double{group.min} * submin * key.cols * x;
        for (float out : result->view<float>("out")) {
          EXPECT_EQ(out, static_cast<float>(double{total} + minima)) << traits.name << ", " << subscale;
        }
      }
    }
  }
}

TEST(MatvecF32, SubnormalAndHugeNumbers) {
  const MatvecKey key{kF32, 33, 44, Epilogue::store};
  std::mt19937_64 random(8);
  const std::vector<std::byte> packed = RandomMatrix(kF32, 33, 44, random).packed();
  Kernels kernels(key);
  for (float magnitude : {0.0F, 1e-44F, 1e-40F, 1e-37F, 1e37F}) {
    kernels.check(1, fmt::format("magnitude {}", magnitude), [&](CallMemory& memory) {
      MatvecArgs args{};
      args.w = memory.copy_of("w", packed);
      args.x = memory.uniform("x", 44, -magnitude, magnitude);
      args.out = memory.allocate<float>("out", 33);
      args.unit_end = 3;
      return args;
    });
  }
}

// A number below 2^-126 counts as zero on every tier, going in
// or coming out, whether an instruction makes it so or not.
TEST(MatvecPairs, SubnormalAndHugeNumbers) {
  constexpr Format kPairs{FormatKind::bf16_pairs, 0};
  const MatvecKey key{kPairs, 33, 44, Epilogue::store};
  std::mt19937_64 random(8);
  const std::vector<std::byte> packed = RandomMatrix(kPairs, 33, 44, random).packed();
  Kernels kernels(key);
  for (float magnitude : {0.0F, 1e-40F, 1e-38F, 1e-37F, 1e37F, 3e38F}) {
    Activations x;
    x.x = CallMemory(Edge::back, 1).random_floats(44, -magnitude, magnitude);
    round_to_pairs(x);
    kernels.check(1, fmt::format("magnitude {}", magnitude), [&](CallMemory& memory) {
      MatvecArgs args{};
      args.w = memory.copy_of("w", packed);
      args.xq.codes = memory.copy_of("x", x.codes);
      args.out = memory.allocate<float>("out", 33);
      args.unit_end = 3;
      return args;
    });
  }
}

}  // namespace
}  // namespace llamajit::test::matvec_ends_test
