// These functions say what a weight is worth, in a file's matrix and in a packed one.
#include "jit/formats/packing.h"
#include "jit/formats/rows.h"
#include "jit/formats/stored_numbers.h"
#include "jit/formats/triples.h"

namespace llamajit::jit {
namespace {

// factor * (code - zero) + min
float coded_value(const CodesLayout& layout, int code, float factor, float min) {
  const auto value = static_cast<float>(code - layout.zero);
  return layout.sums_inputs() ? fused(factor, value, min) : factor * value;
}

}  // namespace

float source_value(const SourceMatrix& from, std::int64_t row, std::int64_t col) {
  const std::int64_t index = row * from.cols + col;
  const std::byte* const data = from.data.data();
  if (!has_codes(from.format)) {
    return float_value(from.format.kind, data + index * float_bytes(from.format.kind));
  }
  if (from.format.kind == FormatKind::int8) {
    return static_cast<float>(read_at<std::int8_t>(data + index)) *
           read_at<float>(from.scales.data() + index / from.format.group * 4);
  }
  const CodesLayout layout(from.format);
  Group group;
  if (from.format.kind == FormatKind::i2_s) group.scale = read_at<float>(from.scales.data());
  const BlockRows rows(from.format.kind, from.cols);
  rows.split(data + row * rows.row_bytes(), col / from.format.group, group);
  const auto k = static_cast<int>(col % from.format.group);
  const int s = k / layout.subgroup;
  const int code = multiplied_code(*format_traits(from.format.kind), group, k);
  const int subscale = layout.subscales ? group.subscales[s] : 1;
  const int submin = layout.submins ? group.submins[s] : 1;
  return coded_value(layout, code, group.scale * static_cast<float>(subscale),
                     layout.sums_inputs() ? group.min * static_cast<float>(submin) : 0.0F);
}

namespace {

float packed_float(const CodesLayout& layout, const std::byte* floats, int row) {
  return float_value(layout.floats, floats + row * float_bytes(layout.floats));
}

// 1 where there are none.
int small_number(const SmallNumbers& numbers, const std::byte* record, int subgroup, int row) {
  if (!numbers) return 1;
  const std::byte* const at = record + numbers.at_subgroup(subgroup) + row * numbers.row_bytes();
  if (numbers.is_signed) return read_at<std::int8_t>(at);
  return read_at<std::uint8_t>(at) >> numbers.shift & ((1 << numbers.bits) - 1);
}

int code_of_triple(const std::byte* record, int step, int column, int row) {
  const Triple triple(step / Triple::kSteps);
  const int digit = step % Triple::kSteps;
  const auto byte_at = [&](int vector, int lane) {
    return read_at<std::uint8_t>(record + vector + lane * 4 + column % 4);
  };
  const int lower = byte_at(triple.lower_at, row) >> triple.lower_shift & 15;
  const auto& [firsts, rests, seconds, thirds] = kTripleTable;
  if (digit == 0) return firsts[static_cast<std::size_t>(lower)];
  const int bit = triple.fifth_bit + 4 * (row / Triple::kHalf);
  const int fifth = byte_at(triple.fifths_at, row % Triple::kHalf) >> bit & 1;
  const int index = rests[static_cast<std::size_t>(lower)] + fifth * kFifthInIndex;
  return (digit == 1 ? seconds : thirds)[static_cast<std::size_t>(index)];
}

}  // namespace

int packed_code(const CodesLayout& layout, const std::byte* record, int column, int row) {
  const int step = column / 4;
  if (step < layout.triple_steps) return code_of_triple(record, step, column, row);
  if (layout.bits == 8) return read_at<std::uint8_t>(record + (step * kLanes + row) * 4 + column % 4);
  unsigned code = 0;
  for (const Plane& plane : layout.planes()) {
    const int in_plane = step - layout.triple_steps;
    const int vector = in_plane / plane.steps(), slot = in_plane % plane.steps();
    const auto byte = read_at<std::uint8_t>(record + plane.at + (vector * kLanes + row) * 4 + column % 4);
    code |= (byte >> (slot * plane.bits) & ((1U << plane.bits) - 1)) << plane.position;
  }
  const int value = looked_up(layout.codebook, static_cast<int>(code << layout.shift));
  if (layout.lift == 0) return value;
  const auto lifted = read_at<std::uint16_t>(record + layout.lifted_at + row * sizeof(std::uint16_t));
  return value + (lifted >> column / layout.subgroup & 1) * layout.lift;
}

int packed_subscale(const CodesLayout& layout, const std::byte* record, int subgroup, int row) {
  return small_number(layout.subscales, record, subgroup, row);
}

int packed_submin(const CodesLayout& layout, const std::byte* record, int subgroup, int row) {
  return small_number(layout.submins, record, subgroup, row);
}

float packed_scale(const CodesLayout& layout, const std::byte* record, int row) {
  return packed_float(layout, record + layout.scale_at, row);
}

float packed_min(const CodesLayout& layout, const std::byte* record, int row) {
  return layout.sums_inputs() ? packed_float(layout, record + layout.min_at, row) : 0.0F;
}

float packed_value(Format format, std::int64_t cols, const std::byte* packed, std::int64_t row,
                   std::int64_t col, std::int64_t tile_stride) {
  const std::byte* tile = packed + row / kLanes * tile_stride * tile_bytes(format, cols);
  const auto lane = static_cast<int>(row % kLanes);
  if (format.kind == FormatKind::bf16_pairs) {
    return float_value(format.kind, tile + (col / 2 * kLanes + lane) * 4 + col % 2 * 2);
  }
  if (!has_codes(format)) {
    return float_value(format.kind, tile + (col * kLanes + lane) * float_bytes(format.kind));
  }
  const CodesLayout layout(format);
  const std::byte* const record = tile + col / layout.group * layout.group_bytes;
  const auto k = static_cast<int>(col % layout.group);
  const int s = k / layout.subgroup;
  return coded_value(
      layout, packed_code(layout, record, k, lane),
      packed_scale(layout, record, lane) * static_cast<float>(packed_subscale(layout, record, s, lane)),
      packed_min(layout, record, lane) * static_cast<float>(packed_submin(layout, record, s, lane)));
}

}  // namespace llamajit::jit
