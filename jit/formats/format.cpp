#include "jit/formats/format.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace llamajit::jit {
namespace {

constexpr FormatTraits kTraits[] = {
    // kind, name, block bytes, group, subgroup, bits, zero
    {FormatKind::q8_0, "Q8_0", 34, 32, 32, 8, 128},
    {FormatKind::q4_0, "Q4_0", 18, 32, 32, 4, 8},
    {FormatKind::q4_1, "Q4_1", 20, 32, 32, 4, 0, Mins::one},
    {FormatKind::q5_0, "Q5_0", 22, 32, 32, 5, 16},
    {FormatKind::q5_1, "Q5_1", 24, 32, 32, 5, 0, Mins::one},
    {FormatKind::q2_k, "Q2_K", 84, 256, 16, 2, 0, Mins::each, nullptr, 0, FormatKind::f16, true, 1, 15},
    {FormatKind::q3_k, "Q3_K", 110, 256, 16, 3, 4, Mins::none, nullptr, 0, FormatKind::f16, false, 1, 32},
    {FormatKind::q4_k, "Q4_K", 144, 256, 32, 4, 0, Mins::each, nullptr, 0, FormatKind::f16, false, 1, 63},
    {FormatKind::q5_k, "Q5_K", 176, 256, 32, 5, 0, Mins::each, nullptr, 0, FormatKind::f16, false, 1, 63},
    {FormatKind::q6_k, "Q6_K", 210, 256, 16, 6, 32},
    {FormatKind::iq4_nl, "IQ4_NL", 18, 32, 32, 4, 128, Mins::none, &kIq4Codebook},
    {FormatKind::iq4_xs, "IQ4_XS", 136, 256, 32, 4, 128, Mins::none, &kIq4Codebook, 0, FormatKind::f16, false,
     1, 32},
    {FormatKind::tq1_0, "TQ1_0", 54, 256, 256, 2, 1},
    {FormatKind::tq2_0, "TQ2_0", 66, 256, 256, 2, 1},
    {FormatKind::q1_0, "Q1_0", 18, 128, 128, 1, 1, Mins::none, nullptr, 1},
    {FormatKind::q2_0, "Q2_0", 18, 64, 64, 2, 1},
    {FormatKind::mxfp4, "MXFP4", 17, 32, 32, 4, 16, Mins::none, &kFp4Codebook, 0, FormatKind::bf16},
    {FormatKind::iq2_xxs, "IQ2_XXS", 66, 256, 32, 3, 64, Mins::none, &kIq2Codebook, 0, FormatKind::f32, false,
     8, 31},
    {FormatKind::iq2_xs, "IQ2_XS", 74, 256, 16, 3, 64, Mins::none, &kIq2Codebook, 0, FormatKind::f32, false,
     8, 31},
    {FormatKind::iq2_s, "IQ2_S", 82, 256, 16, 3, 64, Mins::none, &kIq2Codebook, 0, FormatKind::f32, false, 8,
     31},
    {FormatKind::iq3_xxs, "IQ3_XXS", 98, 256, 32, 4, 32, Mins::none, &kIq3XxsCodebook, 0, FormatKind::f32,
     false, 4, 31},
    {FormatKind::iq3_s, "IQ3_S", 110, 256, 32, 4, 16, Mins::none, &kIq3SCodebook, 0, FormatKind::f16, false,
     4, 31},
    {FormatKind::iq1_s, "IQ1_S", 50, 256, 32, 3, 16, Mins::none, &kIq1Codebook, 0, FormatKind::f32, false, 8,
     15},
    {FormatKind::iq1_m, "IQ1_M", 56, 256, 16, 3, 16, Mins::none, &kIq1Codebook, 0, FormatKind::f32, false, 8,
     15},
    {FormatKind::i2_s, "I2_S", 32, 128, 128, 2, 1, Mins::none, nullptr, 0, FormatKind::f32},
    // The formats from here on are of other files; all_format_traits() says which.
    {FormatKind::q4_0_f32, "Q4_0/f32", 20, 32, 32, 4, 8, Mins::none, nullptr, 0, FormatKind::f32},
    {FormatKind::q4_1_f32, "Q4_1/f32", 24, 32, 32, 4, 0, Mins::one, nullptr, 0, FormatKind::f32},
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
constexpr FormatTraits kInt8{FormatKind::int8, "int8", 0, 0, 0, 8, 128, Mins::none, nullptr, 0,
                             FormatKind::f32};

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
