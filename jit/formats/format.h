// Weight formats, by the names under which people know them.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llamajit::jit {

enum class FormatKind : std::uint8_t {
  f32,   // IEEE binary32
  f16,   // IEEE binary16
  bf16,  // the upper half of an f32
  // No file has this one: it is bf16 whose columns 2k and 2k + 1 stand side by side, to be multiplied with
  // activations that are rounded to bf16 too (RoundKey).
  bf16_pairs,
  int8,  // llama2.c's: int8 codes with an f32 scale for each `group` consecutive weights of a row
  // ggml's blocks of integer codes, described by format_traits().
  q8_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl,
  iq4_xs,
  tq1_0,
  tq2_0,
  q1_0,
  q2_0,
  mxfp4,
  iq2_xxs,
  iq2_xs,
  iq2_s,
  iq3_xxs,
  iq3_s,
  iq1_s,
  iq1_m,
  nvfp4,
  // ik_llama.cpp's.
  iq2_k,
  iq3_k,
  iq4_k,
  iq5_k,
  iq6_k,
  iq2_ks,
  iq3_ks,
  iq4_ks,
  iq4_kss,
  iq5_ks,
  i2_s,  // BitNet's: its one scale stands behind the tensor
  // Blocks of ggml's files from before GGUF: q4_0 and q4_1 with floats of 32 bits.
  q4_0_f32,
  q4_1_f32,
};

// A matrix's weights are stored in this format. `group` is the number of consecutive
// weights of one row that share a float scale; it is 0 for formats without scales.
struct Format {
  FormatKind kind = FormatKind::f32;
  int group = 0;

  auto operator<=>(const Format&) const = default;
};

// A format's minimum, which all weights of a group have added.
enum class Mins : std::uint8_t {
  none,
  one,   // one for each group
  each,  // one for each group, times an integer of each subgroup
};

// Where codes are no integers but indices, the code that is multiplied for each of them. A format's has as many
// entries as its bits tell apart.
using Codebook = std::array<std::uint8_t, 64>;
// The values of IQ4_NL's, IQ4_XS's, IQ4_K's and IQ4_KS's codes, plus 128.
extern const Codebook kIq4Codebook;
// Twice the values of MXFP4's and NVFP4's codes, plus 16.
extern const Codebook kFp4Codebook;
// The values of IQ2_XXS's, IQ2_XS's and IQ2_S's codes, plus 64.
extern const Codebook kIq2Codebook;
// Half the values of IQ3_XXS's codes, plus 32.
extern const Codebook kIq3XxsCodebook;
// The values of IQ3_S's codes, plus 16.
extern const Codebook kIq3SCodebook;
// Eight times the values of IQ1_S's and IQ1_M's codes, plus 16.
extern const Codebook kIq1Codebook;
// The values of the codes of IQ2_K and IQ2_KS, plus 32; of IQ3_K and IQ3_KS, plus 64; of IQ5_K and IQ5_KS, and of IQ6_K, plus
// 128.
extern const Codebook kIq2KCodebook, kIq3KCodebook, kIq5KCodebook, kIq6KCodebook;
inline int looked_up(const Codebook* codebook, int code) {
  return codebook == nullptr ? code : (*codebook)[static_cast<std::size_t>(code)];
}

// Formats of integer codes: a weight of a group is
//
//   scale * subscale * (code - zero) + min * submin
//
// where scale and min are floats of the group, subscale and submin small integers of a subgroup of it (1
// where the format has none), and code is looked_up() where there is a codebook, and greater by `lift` in
// subgroups that are lifted.
struct FormatTraits {
  FormatKind kind;
  std::string_view name;  // as ggml has it
  int block_bytes;        // of a group in a file; without a scale that is the row's or the matrix's
  int group;
  int subgroup;  // weights that share a subscale and submin; the group's where there are none
  int bits;      // of a code
  int zero;
  Mins mins = Mins::none;
  const Codebook* codebook = nullptr;
  int shift = 0;  // codes are multiples of 1 << shift, and packed without the bits below
  FormatKind floats = FormatKind::f16;  // f16, bf16 or f32: the group's are packed so, and exact in it
  bool nibbles = false;                 // subscales and submins are below 16
  int entry = 1;               // so many codes that stand side by side are an entry of a grid (grids.h)
  int largest_subscale = 128;  // or least, whichever is farther from 0
  bool odd_products = false;   // subscales are odd, and codes less `zero`
  bool ternary = false;        // codes are 0, 1 and 2: three are packed in five bits (triples.h)
  int lift = 0;                // 0: there are no lifted subgroups
  // Bytes in front of a row's blocks, its one scale: 2 as f16, 4 as f32, or 0.
  int row_scale_bytes = 0;
  // So many blocks lie in one another in a file: first the byte that is each one's first, then what each has else.
  int interleaved = 1;

  bool has_subscales() const { return subgroup < group; }
  // A power of two is the least of a two's complement's, and lies farther from 0 than the greatest.
  int greatest_subscale() const {
    return std::has_single_bit(static_cast<unsigned>(largest_subscale)) ? largest_subscale - 1
                                                                        : largest_subscale;
  }
};
// This says which sums of products with codes -127..127 stay within 16 bits, where a lane has two products of
// each step of four columns: those of no step, of so many steps, or of a whole subgroup.
enum class Sums16 : std::uint8_t { none, one_step, two_steps, four_steps, subgroup };
inline constexpr int kSums16 = 5;

// The traits of a kind; int8's stand for any group. Kinds without codes have none (nullptr).
const FormatTraits* format_traits(FormatKind kind);
std::span<const FormatTraits> all_format_traits();  // of GGUF files' formats

// A group's numbers apart, as format_traits() explains them: what packing, decoding and quantising share.
// Scales that the file stores as f16 are exactly such numbers.
struct Group {
  static constexpr int kMost = 256, kMostSubgroups = 16;
  std::uint8_t codes[kMost];              // (group)
  std::int8_t subscales[kMostSubgroups];  // (group / subgroup)
  std::uint8_t submins[kMostSubgroups];
  std::uint16_t lifted;  // bit s: subgroup s is; of formats with a lift
  float scale;
  float min;
};
// The code that is multiplied for weight i.
inline int multiplied_code(const FormatTraits& traits, const Group& group, int i) {
  const int code = looked_up(traits.codebook, group.codes[i]);
  if (traits.lift == 0) return code;
  return code + (group.lifted >> i / traits.subgroup & 1) * traits.lift;
}
// From a file's block, and to it: exact inverses. A scale that is the row's or the matrix's is left alone. Where codes are entries of a
// grid, join_block() takes such codes alone, with signs (and odd subscales) as the format has them.
void split_block(FormatKind kind, const std::byte* block, Group& to);
// What split_block() calls, for those who take many blocks apart.
using SplitBlock = void (*)(const std::byte* block, Group& to);
SplitBlock split_of(FormatKind kind);
void join_block(FormatKind kind, const Group& from, std::byte* block);

// "f32", "int8/64", "Q4_K"
std::string to_string(Format format);

// As ggml and GGUF files name it: "F32", "Q4_K". int8 is not among them.
std::string_view ggml_name(FormatKind kind);
std::vector<Format> ggml_formats();
std::optional<Format> find_ggml_format(std::string_view name);

}  // namespace llamajit::jit
