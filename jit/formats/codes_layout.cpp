#include <algorithm>
#include <limits>

#include "jit/formats/packing.h"
#include "jit/formats/stored_numbers.h"
#include "jit/formats/triples.h"

namespace llamajit::jit {
namespace {

constexpr int kLargestInput = 127;  // of a quantised vector

}  // namespace

bool has_codes(Format format) {
  return format_traits(format.kind) != nullptr;
}

CodesLayout::CodesLayout(Format format) {
  if (!has_codes(format)) return;
  const FormatTraits& traits = *format_traits(format.kind);
  group = format.group;
  subgroup = traits.has_subscales() ? traits.subgroup : group;
  padded = static_cast<int>(round_up(group, 4));
  bits = traits.bits;
  shift = traits.shift;
  zero = traits.zero;
  lift = traits.lift;
  largest_subscale = traits.largest_subscale;
  greatest_subscale = traits.greatest_subscale();
  odd_products = traits.odd_products;
  mins = traits.mins;
  codebook = traits.codebook;
  floats = traits.floats;
  int at = 0;
  const auto take = [&](int bytes) {
    const int here = at;
    at += bytes;
    return here;
  };
  if (traits.ternary) triple_steps = steps() / Triple::kBlockSteps * Triple::kBlockSteps;
  take(triple_steps / Triple::kBlockSteps * Triple::kBlockBytes);
  const int plane_codes = padded - 4 * triple_steps;
  int position = 0;
  for (int width = 8; width > 0; width /= 2) {
    if ((bits & width) == 0) continue;
    all_planes[n_planes++] = {width, position, take(plane_codes * width / 8 * kLanes)};
    position += width;
  }
  if (subgroup < group) {
    const int bytes = subgroups() * kLanes;
    subscales = {.at = take(bytes), .is_signed = !traits.nibbles, .bits = traits.nibbles ? 4 : 8};
    if (traits.nibbles) {
      submins = {.at = subscales.at, .bits = 4, .shift = 4, .paired = true};
    } else if (mins == Mins::each) {
      submins = {.at = take(bytes), .paired = true};
    }
  }
  if (lift > 0) lifted_at = take(static_cast<int>(sizeof Group::lifted) * kLanes);
  const int scale_bytes = float_bytes(floats) * kLanes;
  scale_at = take(scale_bytes);
  if (mins != Mins::none) min_at = take(scale_bytes);
  group_bytes = at;
}

Sums16 CodesLayout::sums16() const {
  const int fitting = std::numeric_limits<std::int16_t>::max() / (2 * kLargestInput * largest_code());
  if (fitting == 0) return Sums16::none;
  if (fitting >= subgroup_steps()) return Sums16::subgroup;
  return fitting >= 4 ? Sums16::four_steps : fitting >= 2 ? Sums16::two_steps : Sums16::one_step;
}

int CodesLayout::largest_code() const {
  if (triple_steps > 0) return 2;
  if (codebook == nullptr) return ((1 << bits) - 1) << shift;
  return *std::ranges::max_element(entries()) + lift;
}

int CodesLayout::least_code() const {
  return codebook == nullptr ? 0 : *std::ranges::min_element(entries());
}

int CodesLayout::farthest_code() const {
  return std::max(zero - least_code(), largest_code() - zero);
}

bool CodesLayout::sums_fit_words() const {
  return subscales && subgroup * kLargestInput * farthest_code() <= std::numeric_limits<std::int16_t>::max();
}

int CodesLayout::float_parts() const {
  if (!subscales || sums_fit_words()) return 0;
  constexpr std::int64_t kExact = 1 << 24;
  const std::int64_t all = std::int64_t{group} * kLargestInput * farthest_code() * largest_subscale;
  return all < kExact ? 1 : all / 2 < kExact ? 2 : 0;
}

std::optional<CodesLayout::ByteProducts> CodesLayout::byte_products() const {
  if (!subscales) return std::nullopt;
  const int least = subscales.is_signed ? -largest_subscale : 0, greatest = greatest_subscale;
  const int lower = least_code() - zero, upper = largest_code() - zero;
  const auto [from, to] = std::minmax({lower * least, lower * greatest, upper * least, upper * greatest});
  const std::uint8_t shift_by = odd_products ? 1 : 0;
  if ((to - from) >> shift_by > std::numeric_limits<std::uint8_t>::max()) return std::nullopt;
  return ByteProducts{-from, shift_by};
}

std::optional<InputFormat> input_format(Format format) {
  if (format.kind == FormatKind::bf16_pairs) return InputFormat{.pairs = true};
  if (!has_codes(format)) return std::nullopt;
  const CodesLayout layout(format);
  return InputFormat{false, layout.group, layout.subgroup, layout.zero};
}

std::int64_t tile_bytes(Format format, std::int64_t cols) {
  constexpr std::int64_t kCacheLine = 64;
  if (format.kind == FormatKind::bf16_pairs) return rounded_bytes(cols) * kLanes;
  if (!has_codes(format)) return round_up(cols * kLanes * float_bytes(format.kind), kCacheLine);
  const CodesLayout layout(format);
  return round_up(cols / layout.group * layout.group_bytes, kCacheLine);
}

std::int64_t packed_bytes(Format format, std::int64_t rows, std::int64_t cols) {
  return divide_up(rows, kLanes) * tile_bytes(format, cols);
}

}  // namespace llamajit::jit
