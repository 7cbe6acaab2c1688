#include "tests/support/block_values.h"

#include <cmath>
#include <cstdint>
#include <cstring>

#include "jit/formats/grids.h"

namespace llamajit::test {
namespace {

using jit::FormatKind;

class Block {
 public:
  explicit Block(const std::byte* bytes) : bytes_(bytes) {}

  int byte(int at) const { return std::to_integer<int>(bytes_[at]); }
  int int8(int at) const { return byte(at) < 128 ? byte(at) : byte(at) - 256; }
  // `count` bits from bit `first` of a byte on.
  int bits(int at, int first, int count) const { return byte(at) >> first & ((1 << count) - 1); }
  double half(int at) const { return half_of(byte(at) | byte(at + 1) << 8); }
  static double half_of(int bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double magnitude =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    return bits >= 0x8000 ? -magnitude : magnitude;
  }
  double single(int at) const {
    float value;
    std::memcpy(&value, bytes_ + at, sizeof value);
    return value;
  }
  // The nibble of weight i where the two halves of each 2 n weights share n bytes.
  int nibble(int at, int n, int i) const { return bits(at + i / (2 * n) * n + i % n, i / n % 2 * 4, 4); }
  // Two bits of weight i where the four quarters of each 4 n weights share n bytes.
  int pair(int at, int n, int i) const { return bits(at + i / (4 * n) * n + i % n, i / n % 4 * 2, 2); }
  // `count` bits from bit `first` of the numbers from byte `at` on.
  int run(int at, int first, int count) const {
    int value = 0;
    for (int i = 0; i < count; ++i) value |= bits(at + (first + i) / 8, (first + i) % 8, 1) << i;
    return value;
  }
  // The bit of weight i where each eighth of 256 weights has its own bit of 32 bytes.
  int eighth(int at, int i) const { return bits(at + i % 32, i / 32, 1); }

 private:
  const std::byte* bytes_;
};

// Q4_K's and Q5_K's subscale (or submin) j of 8.
int k_factor(const Block& block, bool min, int j) {
  const int base = 4 + (min ? 4 : 0);
  if (j < 4) return block.bits(base + j, 0, 6);
  return block.bits(12 + j - 4, min ? 4 : 0, 4) + 16 * block.bits(base + j - 4, 6, 2);
}
double k_value(const Block& block, int code, int i) {
  return block.half(0) * k_factor(block, false, i / 32) * code -
         block.half(2) * k_factor(block, true, i / 32);
}

int q3_k_subscale(const Block& block, int j) {
  return block.bits(96 + j % 8, j / 8 * 4, 4) + 16 * block.bits(104 + j % 4, j / 4 * 2, 2) - 32;
}

int iq4_value(int code) {
  constexpr int kValues[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  return kValues[code];
}
int iq4_xs_subscale(const Block& block, int j) {
  return block.bits(4 + j / 2, j % 2 * 4, 4) + 16 * block.bits(2 + j / 4, j % 4 * 2, 2) - 32;
}

// A sign, two bits of exponent and one of fraction; of exponent 0 a half of the fraction.
double fp4_value(int code) {
  const int exponent = code >> 1 & 3, fraction = code & 1;
  const double magnitude = exponent == 0 ? fraction / 2.0 : std::ldexp(1 + fraction / 2.0, exponent - 1);
  return code >= 8 ? -magnitude : magnitude;
}

// Four bits of exponent, three of fraction.
double ue4m3_value(int bits) {
  const int exponent = bits >> 3, fraction = bits & 7;
  if (bits >= 0x7F) return std::nan("");
  return exponent == 0 ? fraction / 512.0 : std::ldexp(1 + fraction / 8.0, exponent - 7);
}

int iq2_k_value(int code) {
  constexpr int kValues[] = {-31, -13, 1, 17};
  return kValues[code];
}
int iq3_k_value(int code) {
  constexpr int kValues[] = {-63, -40, -23, -10, 1, 13, 28, 47};
  return kValues[code];
}
int iq5_k_value(int code) {
  constexpr int kValues[] = {-126, -114, -103, -92, -83, -74, -65, -57, -50, -43, -36,
                             -30,  -24,  -18,  -12, -6,  -1,  5,   11,  17,  23,  29,
                             36,   43,   51,   59,  68,  77,  87,  97,  109, 121};
  return kValues[code];
}
// A polynomial's value, rounded.
int iq6_k_value(int code) {
  const double value = -127 + code * (6.2568 + code * (-0.11218 + code * 0.0011972));
  return static_cast<int>(std::lround(value));
}
// Each of its bits, and the one above it in their u16, but for the lowest, which is another's.
int iq4_kss_code(const Block& block, int i) {
  const int at = i / 32 * 16 + i % 16 / 2 * 2, first = i % 2 * 8 + i / 16 % 2 * 4;
  const auto bit = [&](int n) { return n == 0 || n == 16 ? 0 : block.run(at, n, 1); };
  int code = 0;
  for (int n = 0; n < 4; ++n) code |= (bit(first + n) != bit(first + n + 1) ? 1 : 0) << n;
  return code;
}
double six_bits_scale(const Block& block, int j) {
  return block.half(0) * (block.run(8, 4 * j, 4) + 16 * block.run(4, 2 * j, 2) - 32);
}

int tq1_0_digit(const Block& block, int i) {
  const int at = i < 160 ? i % 32 : i < 240 ? 32 + i % 16 : 48 + i % 4;
  const int digit = i < 160 ? i / 32 : i < 240 ? (i - 160) / 16 : (i - 240) / 4;
  int number = block.byte(at) * 243 / 256;  // of five digits, the highest first
  for (int n = 4; n > digit; --n) number /= 3;
  return number % 3;
}

// The value of weight i of eight whose magnitudes are an entry of a grid: 2 bits of each are in use.
int iq2_magnitude(std::uint64_t entry, int i) {
  constexpr int kValues[] = {8, 25, 43};
  return kValues[entry >> 8 * i & 3];
}
// -1 where the sign of weight i of eight is set; the eighth one's is that which makes the product of all eight 1.
int sign_of_seven(int signs, int i) {
  int product = 1;
  for (int k = 0; k < 7; ++k) product *= (signs >> k & 1) != 0 ? -1 : 1;
  return i == 7 ? product : (signs >> i & 1) != 0 ? -1 : 1;
}
double iq2_xxs_value(const Block& block, int i) {
  const int at = 2 + i / 32 * 8, eighth = i / 8 % 4;
  const int sign = sign_of_seven(block.run(at + 4, 7 * eighth, 7), i % 8);
  const std::uint64_t entry = jit::kIq2XxsGrid[static_cast<std::size_t>(block.byte(at + eighth))];
  return block.half(0) * (0.5 + block.bits(at + 7, 4, 4)) * 0.25 * sign * iq2_magnitude(entry, i % 8);
}
double iq2_xs_value(const Block& block, int i) {
  const int at = 2 + i / 8 * 2;
  const std::uint64_t entry = jit::kIq2XsGrid[static_cast<std::size_t>(block.run(at, 0, 9))];
  const int sign = sign_of_seven(block.run(at, 9, 7), i % 8);
  const double scale = block.half(0) * (0.5 + block.bits(66 + i / 32, i / 16 % 2 * 4, 4)) * 0.25;
  return scale * sign * iq2_magnitude(entry, i % 8);
}
double iq2_s_value(const Block& block, int i) {
  const int eighth = i / 8;
  const int index = block.byte(2 + eighth) + 256 * block.bits(66 + eighth / 4, eighth % 4 * 2, 2);
  const int magnitude = iq2_magnitude(jit::kIq2SGrid[static_cast<std::size_t>(index)], i % 8);
  const double scale = block.half(0) * (0.5 + block.bits(74 + i / 32, i / 16 % 2 * 4, 4)) * 0.25;
  return block.bits(34 + eighth, i % 8, 1) != 0 ? -scale * magnitude : scale * magnitude;
}
double iq3_xxs_value(const Block& block, int i) {
  constexpr int kValues[] = {4, 12, 20, 28, 36, 44, 52, 62};
  const int at = 66 + i / 32 * 4;
  const int sign = sign_of_seven(block.run(at, 7 * (i / 8 % 4), 7), i % 8);
  const std::uint32_t entry = jit::kIq3XxsGrid[static_cast<std::size_t>(block.byte(2 + i / 4))];
  return block.half(0) * (0.5 + block.bits(at + 3, 4, 4)) * 0.5 * sign * kValues[entry >> i % 4 * 8 & 0xFF];
}
double iq3_s_value(const Block& block, int i) {
  const int fourth = i / 4;
  const int index = block.byte(2 + fourth) + 256 * block.bits(66 + fourth / 8, fourth % 8, 1);
  const auto magnitude = 2.0 * (jit::kIq3SGrid[static_cast<std::size_t>(index)] >> i % 4 * 8 & 0xFF) + 1;
  const double scale = block.half(0) * (1 + 2 * block.bits(106 + i / 64, i / 32 % 2 * 4, 4));
  return block.bits(74 + i / 8, i % 8, 1) != 0 ? -scale * magnitude : scale * magnitude;
}
// Weight i of eight, -1, 0 or 1.
int iq1_trit(int index, int i) {
  return static_cast<int>(jit::kIq1Grid[static_cast<std::size_t>(index)] >> 8 * i & 0xFF) - 1;
}
double iq1_s_value(const Block& block, int i) {
  const int at = 34 + i / 32 * 2;
  const int trit = iq1_trit(block.byte(2 + i / 8) + 256 * block.run(at, 3 * (i / 8 % 4), 3), i % 8);
  const double shift = block.bits(at + 1, 7, 1) != 0 ? -0.125 : 0.125;
  return block.half(0) * (2 * block.bits(at + 1, 4, 3) + 1) * (trit + shift);
}
double iq1_m_value(const Block& block, int i) {
  const int eighth = i / 8, at = 32 + eighth / 2, low = eighth % 2 * 4;
  const int trit = iq1_trit(block.byte(eighth) + 256 * block.bits(at, low, 3), i % 8);
  const double shift = block.bits(at, low + 3, 1) != 0 ? -0.125 : 0.125;
  int scale = 0;
  for (int n = 0; n < 4; ++n) scale += block.bits(49 + 2 * n, 4, 4) << 4 * n;
  const int subscale = 2 * block.run(48 + i / 64 * 2, i / 16 % 4 * 3, 3) + 1;
  return Block::half_of(scale) * subscale * (trit + shift);
}

}  // namespace

double block_value(FormatKind kind, const std::byte* block, int i) {
  const Block b(block);
  switch (kind) {
    case FormatKind::q8_0:
      return b.half(0) * b.int8(2 + i);
    case FormatKind::q4_0:
      return b.half(0) * (b.nibble(2, 16, i) - 8);
    case FormatKind::q4_1:
      return b.half(0) * b.nibble(4, 16, i) + b.half(2);
    case FormatKind::q5_0:
      return b.half(0) * (b.nibble(6, 16, i) + 16 * b.bits(2 + i / 8, i % 8, 1) - 16);
    case FormatKind::q5_1:
      return b.half(0) * (b.nibble(8, 16, i) + 16 * b.bits(4 + i / 8, i % 8, 1)) + b.half(2);
    case FormatKind::q2_k:
      return b.half(80) * b.bits(i / 16, 0, 4) * b.pair(16, 32, i) - b.half(82) * b.bits(i / 16, 4, 4);
    case FormatKind::q3_k:
      return b.half(108) * q3_k_subscale(b, i / 16) * (b.pair(32, 32, i) + 4 * b.eighth(0, i) - 4);
    case FormatKind::q4_k:
      return k_value(b, b.nibble(16, 32, i), i);
    case FormatKind::q5_k:
      return k_value(b, b.nibble(48, 32, i) + 16 * b.eighth(16, i), i);
    case FormatKind::q6_k:
      return b.half(208) * b.int8(192 + i / 16) * (b.nibble(0, 64, i) + 16 * b.pair(128, 32, i) - 32);
    case FormatKind::iq4_nl:
      return b.half(0) * iq4_value(b.nibble(2, 16, i));
    case FormatKind::iq4_xs:
      return b.half(0) * iq4_xs_subscale(b, i / 32) * iq4_value(b.nibble(8, 16, i));
    case FormatKind::tq1_0:
      return b.half(52) * (tq1_0_digit(b, i) - 1);
    case FormatKind::tq2_0:
      return b.half(64) * (b.pair(0, 32, i) - 1);
    case FormatKind::q1_0:
      return b.half(0) * (2 * b.bits(2 + i / 8, i % 8, 1) - 1);
    case FormatKind::q2_0:
      return b.half(0) * (b.bits(2 + i / 4, i % 4 * 2, 2) - 1);
    case FormatKind::mxfp4:
      return std::ldexp(fp4_value(b.nibble(1, 16, i)), b.byte(0) - 127);
    case FormatKind::iq2_xxs:
      return iq2_xxs_value(b, i);
    case FormatKind::iq2_xs:
      return iq2_xs_value(b, i);
    case FormatKind::iq2_s:
      return iq2_s_value(b, i);
    case FormatKind::iq3_xxs:
      return iq3_xxs_value(b, i);
    case FormatKind::iq3_s:
      return iq3_s_value(b, i);
    case FormatKind::iq1_s:
      return iq1_s_value(b, i);
    case FormatKind::iq1_m:
      return iq1_m_value(b, i);
    case FormatKind::nvfp4:
      return ue4m3_value(b.byte(0)) * fp4_value(b.nibble(1, 8, i));
    case FormatKind::iq2_k:
      return b.half(0) * (b.bits(4 + i / 32, i / 16 % 2 * 4, 4) - 8) *
             (iq2_k_value(b.pair(12, 32, i)) + 5 * b.run(2, i / 16, 1));
    case FormatKind::iq3_k:
      return b.half(0) * (b.run(4, i / 16, 1) != 0 ? -1 : 1) *
             (2 * b.bits(6 + i / 32, i / 16 % 2 * 4, 4) + 1) *
             (iq3_k_value(b.pair(14, 32, i) + 4 * b.eighth(78, i)) + 4 * b.run(2, i / 16, 1));
    case FormatKind::iq4_k:
      return six_bits_scale(b, i / 16) * (iq4_value(b.nibble(16, 16, i)) + 4 * b.run(2, i / 16, 1));
    case FormatKind::iq5_k:
      return six_bits_scale(b, i / 16) *
             (iq5_k_value(b.nibble(16, 32, i) + 16 * b.eighth(144, i)) + 2 * b.run(2, i / 16, 1));
    case FormatKind::iq6_k:
      return b.half(0) * b.int8(4 + i / 16) *
             (iq6_k_value(b.nibble(20, 32, i) + 16 * b.pair(148, 32, i)) + b.run(2, i / 16, 1));
    case FormatKind::iq2_ks:
      return (b.bits(2 + i / 64, i / 32 % 2 * 4, 4) + 16 * b.bits(1, i / 32, 1) - 16) *
             (iq2_k_value(b.pair(6, 32, i)) + 5 * b.bits(0, i / 32, 1));
    case FormatKind::iq3_ks:
      return (b.bits(2 + i / 32 % 4, i / 128 * 4, 4) + 16 * b.bits(0, i / 32, 1) - 16) *
             (iq3_k_value(b.pair(6, 32, i) + 4 * b.eighth(70, i)) + 4 * b.bits(1, i / 32, 1));
    case FormatKind::iq4_ks:
      return (2 * (b.byte(i / 32) / 2) - 127) * (iq4_value(b.nibble(8, 16, i)) + 4 * (b.byte(i / 32) % 2));
    case FormatKind::iq4_kss: {
      int factor = 0;
      for (int k = 0; k < 8; ++k) factor |= b.bits(i / 32 * 16 + 2 * k, 0, 1) << k;
      return (2 * (factor / 2) - 127) * (iq4_value(iq4_kss_code(b, i)) + 4 * (factor % 2));
    }
    case FormatKind::iq5_ks:
      return (2 * (b.byte(i / 32) / 2) - 127) *
             (iq5_k_value(b.nibble(8, 32, i) + 16 * b.eighth(136, i)) + 2 * (b.byte(i / 32) % 2));
    case FormatKind::i2_s:
      return b.bits(i % 32, 6 - i / 32 * 2, 2) - 1;
    case FormatKind::q4_0_f32:
      return b.single(0) * (b.bits(4 + i / 2, i % 2 * 4, 4) - 8);
    case FormatKind::q4_1_f32:
      return b.single(4) * b.bits(8 + i / 2, i % 2 * 4, 4) + b.single(0);
    default:
      return std::nan("");
  }
}

double group_value(const jit::FormatTraits& traits, const jit::Group& group, int i) {
  const int subgroup = i / traits.subgroup;
  const int code = multiplied_code(traits, group, i);
  const double scale = static_cast<double>(group.scale) * group.subscales[subgroup];
  return scale * (code - traits.zero) + static_cast<double>(group.min) * group.submins[subgroup];
}

}  // namespace llamajit::test
