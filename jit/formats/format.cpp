#include "jit/formats/format.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace llamajit::jit {
namespace {

constexpr FormatTraits kTraits[] = {
    {.kind = FormatKind::q8_0,
     .name = "Q8_0",
     .block_bytes = 34,
     .group = 32,
     .subgroup = 32,
     .bits = 8,
     .zero = 128},
    {.kind = FormatKind::q4_0,
     .name = "Q4_0",
     .block_bytes = 18,
     .group = 32,
     .subgroup = 32,
     .bits = 4,
     .zero = 8},
    {.kind = FormatKind::q4_1,
     .name = "Q4_1",
     .block_bytes = 20,
     .group = 32,
     .subgroup = 32,
     .bits = 4,
     .zero = 0,
     .mins = Mins::one},
    {.kind = FormatKind::q5_0,
     .name = "Q5_0",
     .block_bytes = 22,
     .group = 32,
     .subgroup = 32,
     .bits = 5,
     .zero = 16},
    {.kind = FormatKind::q5_1,
     .name = "Q5_1",
     .block_bytes = 24,
     .group = 32,
     .subgroup = 32,
     .bits = 5,
     .zero = 0,
     .mins = Mins::one},
    {.kind = FormatKind::q2_k,
     .name = "Q2_K",
     .block_bytes = 84,
     .group = 256,
     .subgroup = 16,
     .bits = 2,
     .zero = 0,
     .mins = Mins::each,
     .nibbles = true,
     .largest_subscale = 15},
    {.kind = FormatKind::q3_k,
     .name = "Q3_K",
     .block_bytes = 110,
     .group = 256,
     .subgroup = 16,
     .bits = 3,
     .zero = 4,
     .largest_subscale = 32},
    {.kind = FormatKind::q4_k,
     .name = "Q4_K",
     .block_bytes = 144,
     .group = 256,
     .subgroup = 32,
     .bits = 4,
     .zero = 0,
     .mins = Mins::each,
     .largest_subscale = 63},
    {.kind = FormatKind::q5_k,
     .name = "Q5_K",
     .block_bytes = 176,
     .group = 256,
     .subgroup = 32,
     .bits = 5,
     .zero = 0,
     .mins = Mins::each,
     .largest_subscale = 63},
    {.kind = FormatKind::q6_k,
     .name = "Q6_K",
     .block_bytes = 210,
     .group = 256,
     .subgroup = 16,
     .bits = 6,
     .zero = 32},
    {.kind = FormatKind::iq4_nl,
     .name = "IQ4_NL",
     .block_bytes = 18,
     .group = 32,
     .subgroup = 32,
     .bits = 4,
     .zero = 128,
     .codebook = &kIq4Codebook},
    {.kind = FormatKind::iq4_xs,
     .name = "IQ4_XS",
     .block_bytes = 136,
     .group = 256,
     .subgroup = 32,
     .bits = 4,
     .zero = 128,
     .codebook = &kIq4Codebook,
     .largest_subscale = 32},
    {.kind = FormatKind::tq1_0,
     .name = "TQ1_0",
     .block_bytes = 54,
     .group = 256,
     .subgroup = 256,
     .bits = 2,
     .zero = 1},
    {.kind = FormatKind::tq2_0,
     .name = "TQ2_0",
     .block_bytes = 66,
     .group = 256,
     .subgroup = 256,
     .bits = 2,
     .zero = 1},
    {.kind = FormatKind::q1_0,
     .name = "Q1_0",
     .block_bytes = 18,
     .group = 128,
     .subgroup = 128,
     .bits = 1,
     .zero = 1,
     .shift = 1},
    {.kind = FormatKind::q2_0,
     .name = "Q2_0",
     .block_bytes = 18,
     .group = 64,
     .subgroup = 64,
     .bits = 2,
     .zero = 1},
    {.kind = FormatKind::mxfp4,
     .name = "MXFP4",
     .block_bytes = 17,
     .group = 32,
     .subgroup = 32,
     .bits = 4,
     .zero = 16,
     .codebook = &kFp4Codebook,
     .floats = FormatKind::bf16},
    {.kind = FormatKind::iq2_xxs,
     .name = "IQ2_XXS",
     .block_bytes = 66,
     .group = 256,
     .subgroup = 32,
     .bits = 3,
     .zero = 64,
     .codebook = &kIq2Codebook,
     .floats = FormatKind::f32,
     .entry = 8,
     .largest_subscale = 31},
    {.kind = FormatKind::iq2_xs,
     .name = "IQ2_XS",
     .block_bytes = 74,
     .group = 256,
     .subgroup = 16,
     .bits = 3,
     .zero = 64,
     .codebook = &kIq2Codebook,
     .floats = FormatKind::f32,
     .entry = 8,
     .largest_subscale = 31},
    {.kind = FormatKind::iq2_s,
     .name = "IQ2_S",
     .block_bytes = 82,
     .group = 256,
     .subgroup = 16,
     .bits = 3,
     .zero = 64,
     .codebook = &kIq2Codebook,
     .floats = FormatKind::f32,
     .entry = 8,
     .largest_subscale = 31},
    {.kind = FormatKind::iq3_xxs,
     .name = "IQ3_XXS",
     .block_bytes = 98,
     .group = 256,
     .subgroup = 32,
     .bits = 4,
     .zero = 32,
     .codebook = &kIq3XxsCodebook,
     .floats = FormatKind::f32,
     .entry = 4,
     .largest_subscale = 31},
    {.kind = FormatKind::iq3_s,
     .name = "IQ3_S",
     .block_bytes = 110,
     .group = 256,
     .subgroup = 32,
     .bits = 4,
     .zero = 16,
     .codebook = &kIq3SCodebook,
     .entry = 4,
     .largest_subscale = 31},
    {.kind = FormatKind::iq1_s,
     .name = "IQ1_S",
     .block_bytes = 50,
     .group = 256,
     .subgroup = 32,
     .bits = 3,
     .zero = 16,
     .codebook = &kIq1Codebook,
     .floats = FormatKind::f32,
     .entry = 8,
     .largest_subscale = 15},
    {.kind = FormatKind::iq1_m,
     .name = "IQ1_M",
     .block_bytes = 56,
     .group = 256,
     .subgroup = 16,
     .bits = 3,
     .zero = 16,
     .codebook = &kIq1Codebook,
     .floats = FormatKind::f32,
     .entry = 8,
     .largest_subscale = 15},
    {.kind = FormatKind::i2_s,
     .name = "I2_S",
     .block_bytes = 32,
     .group = 128,
     .subgroup = 128,
     .bits = 2,
     .zero = 1,
     .floats = FormatKind::f32},
    // The formats from here on are of other files; all_format_traits() says which.
    {.kind = FormatKind::q4_0_f32,
     .name = "Q4_0/f32",
     .block_bytes = 20,
     .group = 32,
     .subgroup = 32,
     .bits = 4,
     .zero = 8,
     .floats = FormatKind::f32},
    {.kind = FormatKind::q4_1_f32,
     .name = "Q4_1/f32",
     .block_bytes = 24,
     .group = 32,
     .subgroup = 32,
     .bits = 4,
     .zero = 0,
     .mins = Mins::one,
     .floats = FormatKind::f32},
};
static_assert([] {
  for (std::size_t i = 0; i < std::size(kTraits); ++i) {
    if (static_cast<std::size_t>(kTraits[i].kind) != static_cast<std::size_t>(FormatKind::q8_0) + i)
      return false;
  }
  return true;
}());  // in the order of their kinds
// As QuantizeKey wants them.
static_assert(std::ranges::all_of(kTraits, [](const FormatTraits& traits) {
  return (traits.zero & (traits.zero - 1)) == 0;
}));
constexpr FormatTraits kInt8{.kind = FormatKind::int8,
                             .name = "int8",
                             .block_bytes = 0,
                             .group = 0,
                             .subgroup = 0,
                             .bits = 8,
                             .zero = 128,
                             .floats = FormatKind::f32};

}  // namespace

const FormatTraits* format_traits(FormatKind kind) {
  if (kind == FormatKind::int8) return &kInt8;
  if (kind < FormatKind::q8_0) return nullptr;
  return &kTraits[static_cast<std::size_t>(kind) - static_cast<std::size_t>(FormatKind::q8_0)];
}

std::span<const FormatTraits> all_format_traits() {
  constexpr auto kOfGguf =
      static_cast<std::size_t>(FormatKind::q4_0_f32) - static_cast<std::size_t>(FormatKind::q8_0);
  return std::span(kTraits).first(kOfGguf);
}

std::string to_string(Format format) {
  switch (format.kind) {
    case FormatKind::f32:
      return "f32";
    case FormatKind::f16:
      return "f16";
    case FormatKind::bf16:
      return "bf16";
    case FormatKind::bf16_pairs:
      return "bf16_pairs";
    case FormatKind::int8:
      return fmt::format("int8/{}", format.group);
    default:
      return std::string(format_traits(format.kind)->name);
  }
}

std::string_view ggml_name(FormatKind kind) {
  switch (kind) {
    case FormatKind::f32:
      return "F32";
    case FormatKind::f16:
      return "F16";
    case FormatKind::bf16:
      return "BF16";
    default:
      return format_traits(kind)->name;
  }
}

std::vector<Format> ggml_formats() {
  std::vector<Format> formats = {{FormatKind::f32, 0}, {FormatKind::f16, 0}, {FormatKind::bf16, 0}};
  for (const FormatTraits& traits : all_format_traits()) formats.push_back({traits.kind, traits.group});
  return formats;
}

std::optional<Format> find_ggml_format(std::string_view name) {
  for (const Format& format : ggml_formats()) {
    if (ggml_name(format.kind) == name) return format;
  }
  return std::nullopt;
}

}  // namespace llamajit::jit
