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

// What a matrix of blocks says of a group's weights.
class BlockValues {
 public:
  explicit BlockValues(const SourceMatrix& from)
      : traits_(*format_traits(from.format.kind)), layout_(from.format), rows_(from.format.kind, from.cols) {
    if (from.format.kind == FormatKind::i2_s) group_.scale = read_at<float>(from.scales.data());
  }

  void read(const SourceMatrix& from, std::int64_t row, std::int64_t g) {
    rows_.split(from.data.data() + row * rows_.row_bytes(), g, group_);
  }
  float value(int k) const {
    const int s = k / layout_.subgroup;
    const int subscale = layout_.subscales ? group_.subscales[s] : 1;
    const int submin = layout_.submins ? group_.submins[s] : 1;
    return coded_value(layout_, multiplied_code(traits_, group_, k),
                       group_.scale * static_cast<float>(subscale),
                       layout_.sums_inputs() ? group_.min * static_cast<float>(submin) : 0.0F);
  }

 private:
  const FormatTraits& traits_;
  CodesLayout layout_;
  BlockRows rows_;
  Group group_;
};

// Of floats and of int8, whose weights stand alone.
float plain_value(const SourceMatrix& from, std::int64_t index) {
  const std::byte* const data = from.data.data();
  if (!has_codes(from.format)) {
    return float_value(from.format.kind, data + index * float_bytes(from.format.kind));
  }
  return static_cast<float>(read_at<std::int8_t>(data + index)) *
         read_at<float>(from.scales.data() + index / from.format.group * 4);
}

bool is_plain(const SourceMatrix& from) {
  return !has_codes(from.format) || from.format.kind == FormatKind::int8;
}

}  // namespace

float source_value(const SourceMatrix& from, std::int64_t row, std::int64_t col) {
  if (is_plain(from)) return plain_value(from, row * from.cols + col);
  BlockValues values(from);
  values.read(from, row, col / from.format.group);
  return values.value(static_cast<int>(col % from.format.group));
}

void source_row(const SourceMatrix& from, std::int64_t row, std::span<float> out) {
  if (is_plain(from)) {
    for (std::size_t col = 0; col < out.size(); ++col) {
      out[col] = plain_value(from, row * from.cols + static_cast<std::int64_t>(col));
    }
    return;
  }
  BlockValues values(from);
  const auto group = static_cast<std::size_t>(from.format.group);
  for (std::size_t g = 0; g < out.size() / group; ++g) {
    values.read(from, row, static_cast<std::int64_t>(g));
    for (std::size_t k = 0; k < group; ++k) out[g * group + k] = values.value(static_cast<int>(k));
  }
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
    const auto bit = static_cast<unsigned>((step - layout.triple_steps) * plane.bits);
    const auto vector = static_cast<int>(bit / 8);
    const auto byte = read_at<std::uint8_t>(record + plane.at + (vector * kLanes + row) * 4 + column % 4);
    code |= (byte >> bit % 8 & ((1U << plane.bits) - 1)) << plane.position;
  }
  const int value = looked_up(layout.codebook, static_cast<int>(code << layout.shift));
  if (layout.lift == 0) return value;
  const auto lifted = read_at<std::uint16_t>(record + layout.lifted_at + row * sizeof(std::uint16_t));
  return value + (lifted >> column / layout.subgroup & 1) * layout.lift;
}

void packed_codes(const CodesLayout& layout, const std::byte* record, int row, std::span<int> codes) {
  for (int column = 0; column < layout.padded; ++column) {
    codes[static_cast<std::size_t>(column)] = packed_code(layout, record, column, row);
  }
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

namespace {

float packed_float_value(Format format, const std::byte* tile, std::int64_t lane, std::int64_t col) {
  if (format.kind == FormatKind::bf16_pairs) {
    return float_value(format.kind, tile + (col / 2 * kLanes + lane) * 4 + col % 2 * 2);
  }
  return float_value(format.kind, tile + (col * kLanes + lane) * float_bytes(format.kind));
}

// What a record says of a row's weights of one subgroup.
class SubgroupValues {
 public:
  SubgroupValues(const CodesLayout& layout, const std::byte* record, int lane, int subgroup)
      : layout_(layout),
        factor_(packed_scale(layout, record, lane) *
                static_cast<float>(packed_subscale(layout, record, subgroup, lane))),
        min_(packed_min(layout, record, lane) *
             static_cast<float>(packed_submin(layout, record, subgroup, lane))) {}

  float operator()(int code) const { return coded_value(layout_, code, factor_, min_); }

 private:
  const CodesLayout& layout_;
  float factor_, min_;
};

}  // namespace

float packed_value(Format format, std::int64_t cols, const std::byte* packed, std::int64_t row,
                   std::int64_t col, std::int64_t tile_stride) {
  const std::byte* const tile = packed + row / kLanes * tile_stride * tile_bytes(format, cols);
  const auto lane = static_cast<int>(row % kLanes);
  if (!has_codes(format)) return packed_float_value(format, tile, lane, col);
  const CodesLayout layout(format);
  const std::byte* const record = tile + col / layout.group * layout.group_bytes;
  const auto k = static_cast<int>(col % layout.group);
  return SubgroupValues(layout, record, lane, k / layout.subgroup)(packed_code(layout, record, k, lane));
}

void packed_row(Format format, const std::byte* packed, std::int64_t row, std::int64_t tile_stride,
                std::span<float> out) {
  const std::int64_t cols = std::ssize(out);
  const std::byte* const tile = packed + row / kLanes * tile_stride * tile_bytes(format, cols);
  const auto lane = static_cast<int>(row % kLanes);
  if (!has_codes(format)) {
    for (std::int64_t col = 0; col < cols; ++col) {
      out[static_cast<std::size_t>(col)] = packed_float_value(format, tile, lane, col);
    }
    return;
  }
  const CodesLayout layout(format);
  auto to = out.begin();
  for (const std::byte* record = tile; to != out.end(); record += layout.group_bytes) {
    for (int s = 0; s < layout.subgroups(); ++s) {
      const SubgroupValues value(layout, record, lane, s);
      for (int k = s * layout.subgroup; k < (s + 1) * layout.subgroup; ++k) {
        *to++ = value(packed_code(layout, record, k, lane));
      }
    }
  }
}

}  // namespace llamajit::jit
