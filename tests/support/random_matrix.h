// Matrices for kernel tests: as a file would store them, packed, and as plain numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "jit/base/scalar_math.h"
#include "jit/formats/packing.h"
#include "jit/formats/rows.h"
#include "jit/kernels/kernels.h"

namespace llamajit::test {

class RandomMatrix {
 public:
  // f32 values in [-1, 1), 16-bit ones about so; codes over all of their range, scales in [0, 0.02).
  RandomMatrix(jit::Format format, int rows, int cols, std::mt19937_64& random)
      : format_(format), rows_(rows), cols_(cols) {
    if (format.kind == jit::FormatKind::int8) {
      make_int8(random);
    } else if (has_codes(format)) {
      make_blocks(random);
    } else {
      for (int i = 0; i < rows * cols; ++i) add_float(unit(random) * 2 - 1);
    }
  }

  jit::SourceMatrix source() const {
    return {pairs() ? jit::Format{jit::FormatKind::bf16, 0} : format_, rows_, cols_, data_, scales_};
  }

  std::vector<std::byte> packed() const {
    const std::int64_t bytes = jit::tile_bytes(format_, cols_);
    std::vector<std::byte> out(static_cast<std::size_t>(jit::packed_bytes(format_, rows_, cols_)));
    for (std::int64_t tile = 0; tile * jit::kLanes < rows_; ++tile) {
      pack_tile(tile, out.data() + tile * bytes);
    }
    return out;
  }

  void pack_tile(std::int64_t tile, std::byte* to) const {
    pairs() ? jit::pack_tile_as_pairs(source(), tile, to) : jit::pack_tile(source(), tile, to);
  }

  // Exact, but for the float that scale * subscale, or min * submin, is rounded to.
  double value(int row, int col) const { return values_[index(row, col)]; }
  // Returns the magnitude of the parts that a value is added up of.
  double magnitude(int row, int col) const { return magnitudes_[index(row, col)]; }

 private:
  bool pairs() const { return format_.kind == jit::FormatKind::bf16_pairs; }

  // Adds the value that the format makes of it.
  void add_float(float value) {
    if (format_.kind == jit::FormatKind::f32) {
      append(data_, value);
    } else if (format_.kind == jit::FormatKind::f16) {
      append(data_, jit::float_to_half(value));
      value = jit::half_to_float(jit::float_to_half(value));
    } else {
      append(data_, jit::float_to_bfloat(value));
      value = jit::bfloat_to_float(jit::float_to_bfloat(value));
    }
    add(value, std::abs(value));
  }

  void make_int8(std::mt19937_64& random) {
    for (int i = 0; i < rows_ * cols_ / format_.group; ++i) {
      const float scale = unit(random) * 0.02F;
      append(scales_, scale);
      for (int k = 0; k < format_.group; ++k) {
        const auto code = static_cast<std::int8_t>(random() >> 56);
        append(data_, code);
        add(double{scale} * code, std::abs(double{scale} * code));
      }
    }
  }

  // Random bytes, made to what a block can hold, with scales that a matrix might have.
  void make_blocks(std::mt19937_64& random) {
    const jit::FormatTraits& traits = *jit::format_traits(format_.kind);
    const float tensor_scale = small_half(random);
    if (format_.kind == jit::FormatKind::i2_s) append(scales_, tensor_scale);
    const auto small = [&] {
      return traits.floats == jit::FormatKind::f32 ? unit(random) * 0.02F : small_half(random);
    };
    std::vector<std::byte> block(static_cast<std::size_t>(traits.block_bytes));
    const jit::BlockRows rows(format_.kind, cols_);
    data_.resize(static_cast<std::size_t>(rows_ * rows.row_bytes()));
    for (int row = 0; row < rows_; ++row) {
      std::byte* const to = data_.data() + row * rows.row_bytes();
      const float row_scale = traits.row_scale_bytes > 0 ? small() : tensor_scale;
      const bool is_shared = traits.row_scale_bytes > 0 || format_.kind == jit::FormatKind::i2_s;
      for (int g = 0; g < cols_ / traits.group; ++g) {
        for (std::byte& byte : block) byte = static_cast<std::byte>(random() >> 56);
        jit::Group group{};
        split_block(format_.kind, block.data(), group);
        if (traits.ternary) {
          for (std::uint8_t& code : group.codes) code %= 3;
        }
        group.scale = is_shared ? row_scale : small();
        if (traits.mins != jit::Mins::none) group.min = -small();
        rows.join(group, g, to);
        rows.split(to, g, group);  // of MXFP4's scales one that it has
        for (int k = 0; k < traits.group; ++k) add_code(traits, group, k);
      }
    }
  }

  void add_code(const jit::FormatTraits& traits, const jit::Group& group, int k) {
    const int s = k / traits.subgroup;
    const float factor = group.scale * static_cast<float>(traits.has_subscales() ? group.subscales[s] : 1);
    const int code = multiplied_code(traits, group, k);
    const double part = double{factor} * (code - traits.zero);
    double min = 0;
    if (traits.mins != jit::Mins::none) {
      min = group.min * static_cast<float>(traits.mins == jit::Mins::each ? group.submins[s] : 1);
    }
    add(part + min, std::abs(part) + std::abs(min));
  }

  void add(double value, double magnitude) {
    values_.push_back(value);
    magnitudes_.push_back(magnitude);
  }
  static float unit(std::mt19937_64& random) { return static_cast<float>(random() >> 40) * 0x1p-24F; }
  static float small_half(std::mt19937_64& random) {
    return jit::half_to_float(jit::float_to_half(unit(random) * 0.02F));
  }
  template <class T>
  static void append(std::vector<std::byte>& to, T value) {
    to.resize(to.size() + sizeof value);
    std::memcpy(to.data() + to.size() - sizeof value, &value, sizeof value);
  }
  std::size_t index(int row, int col) const {
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(cols_) + static_cast<std::size_t>(col);
  }

  jit::Format format_;
  int rows_, cols_;
  std::vector<std::byte> data_, scales_;
  std::vector<double> values_, magnitudes_;
};

// Tiles of gate and up in turn, as swiglu wants them.
inline std::vector<std::byte> packed_pair(jit::Format format, int cols, const RandomMatrix& gate,
                                          const RandomMatrix& up) {
  const auto bytes = jit::tile_bytes(format, cols);
  const std::vector<std::byte> packed_gate = gate.packed(), packed_up = up.packed();
  std::vector<std::byte> out;
  for (auto at = packed_gate.begin(), at_up = packed_up.begin(); at != packed_gate.end();
       at += bytes, at_up += bytes) {
    out.insert(out.end(), at, at + bytes);
    out.insert(out.end(), at_up, at_up + bytes);
  }
  return out;
}

// The groups of int8 that tests walk: real ones, odd ones, ones shorter than a vector, ones that loop.
inline constexpr int kGroups[] = {64, 32, 43, 4, 1, 2, 3, 20, 100, 256, 512};

// f32, the 16-bit floats and pairs of them; int8 with each of kGroups; all others but q4_0_f32.
inline std::vector<jit::Format> every_format() {
  std::vector<jit::Format> formats = {{jit::FormatKind::f32, 0},
                                      {jit::FormatKind::f16, 0},
                                      {jit::FormatKind::bf16, 0},
                                      {jit::FormatKind::bf16_pairs, 0}};
  for (int group : kGroups) formats.push_back({jit::FormatKind::int8, group});
  for (const jit::FormatTraits& traits : jit::all_format_traits()) {
    formats.push_back({traits.kind, traits.group});
  }
  // This one of the two legacy formats has all that the other has; engines are verified with both.
  formats.push_back({jit::FormatKind::q4_1_f32, 32});
  return formats;
}
// As a part of a test's name: "int8_64".
inline std::string name_of(jit::Format format) {
  std::string name = to_string(format);
  std::ranges::replace(name, '/', '_');
  return name;
}

}  // namespace llamajit::test

namespace llamajit::jit {

// Test listings call a parameter so.
inline void PrintTo(const Format& format, std::ostream* out) {
  *out << to_string(format);
}

}  // namespace llamajit::jit
