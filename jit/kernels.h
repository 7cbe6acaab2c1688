// The menu: every kernel's Key (what is baked into its instructions), Args (what varies from call to call)
// and contract. `T16` below means a row count rounded up to whole tiles of 16; vectors are f32 unless said
// otherwise.
//
// One order of arithmetic. Each contract fixes the order in which floats are combined, always in steps of
// sixteen lanes, so that a kernel gives the same bits on every tier, for every split over threads, and in its
// scalar twin (reference.h). "Sum over i, n ways" means n accumulators, number i % n taking term i, added as
// a balanced tree: (a0+a1)+(a2+a3).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "jit/formats/format.h"
#include "jit/lessons/lesson_keys.h"

namespace llamajit::jit {

inline constexpr int kLanes = 16;

constexpr std::int64_t round_up(std::int64_t n, std::int64_t to) {
  return (n + to - 1) / to * to;
}
constexpr std::int64_t divide_up(std::int64_t n, std::int64_t by) {
  return (n + by - 1) / by;
}

// Where the text stands. Kernels that depend on it hold a pointer, so that a plan's Args never change after
// load.
struct Cursor {
  std::int32_t token = 0;  // the token that is fed
  std::int32_t pos = 0;    // its position, from 0
};

// out = row `at->token` of a packed (rows, dim) matrix, as f32.
struct EmbedArgs {
  const std::byte* table;
  float* out;  // (dim)
  const Cursor* at;
};
struct EmbedKey {
  using Args = EmbedArgs;
  Format format;
  int dim;
  auto operator<=>(const EmbedKey&) const = default;
};

enum class NormKind : std::uint8_t {
  rms,    // out = x / sqrt(mean(x^2) + eps) * weight   (RMSNorm, arXiv:1910.07467)
  layer,  // out = fma(d / sqrt(mean(d^2) + eps), weight, bias), d = x - mean(x)   (LayerNorm,
          // arXiv:1607.06450)
};

// Normalises each of some vectors that lie one behind the other, as the heads of a query do. Sums: sixteen
// lanes, whole vectors 4 ways, folded in halves; means are those divided by n. 1 / sqrt() is a factor.
struct NormArgs {
  const float* x;               // (vectors, n)
  const float* weight;          // (n)
  float* out;                   // (vectors, n), may be x
  const float* bias = nullptr;  // (n), layer only
  std::int64_t vectors = 1;     // >= 1
};
struct NormKey {
  using Args = NormArgs;
  int n;
  float eps;
  NormKind kind = NormKind::rms;
  auto operator<=>(const NormKey&) const = default;
};

// Activations as the int8 dot product takes them: for each `group` values one scale; codes in -127..127, a
// group's codes padded with zeros to a multiple of 4. What each subgroup's codes add up to takes the weights'
// zero point out of their products, or is multiplied with their minimum: one of the three is there.
struct QuantizedArgs {
  std::int8_t* codes;     // (n / group, group rounded up to 4)
  float* scales;          // (n / group)
  std::int32_t* offsets;  // (n / subgroup): -zero * sum of the codes; where zero > 0
  float* sums;            // (n / group): sum of the codes; where zero == 0, without subgroups
  std::int16_t* subsums;  // (n / subgroup): sum of the codes; where zero == 0 and subgroup < group
};

// Those that activations in these groups have, by their place in QuantizedArgs.
struct Subnumbers {
  std::size_t at;
  int bytes;  // of one
  std::string_view name;
};
constexpr Subnumbers subnumbers(int group, int subgroup, int zero) {
  if (zero > 0) return {offsetof(QuantizedArgs, offsets), sizeof(std::int32_t), "offsets"};
  if (subgroup == group) return {offsetof(QuantizedArgs, sums), sizeof(float), "sums"};
  return {offsetof(QuantizedArgs, subsums), sizeof(std::int16_t), "subsums"};
}

// scale = max|x| / 127 within the group; code = x * (127 / max|x|) rounded to nearest even. max|x| counts as
// at least kSmallestMagnitude, so that a group of zeros divides nothing by zero. A NaN does not count for the
// maximum and gets the code -127, as does an infinity.
inline constexpr float kSmallestMagnitude = 1e-30F;
struct QuantizeArgs {
  const float* x;  // (n)
  QuantizedArgs out;
};
struct QuantizeKey {
  using Args = QuantizeArgs;
  int n;
  int group;     // divides n
  int subgroup;  // divides group; 16, 32, or the group
  int zero;      // a power of two, or 0

  bool has_subsums() const { return zero == 0 && subgroup < group; }
  Subnumbers numbers() const { return subnumbers(group, subgroup, zero); }
  auto operator<=>(const QuantizeKey&) const = default;
};

// out.codes = x rounded to bf16 (to nearest even), two bytes each, an odd last one with a zero behind it; the
// rest of `out` is not there. It is what matrices of bf16_pairs multiply.
struct RoundKey {
  using Args = QuantizeArgs;
  int n;
  auto operator<=>(const RoundKey&) const = default;
};
constexpr std::int64_t rounded_bytes(std::int64_t n) {
  return round_up(n, 2) * 2;
}

// What matvec does with a finished sum.
enum class Epilogue : std::uint8_t {
  store,     // out[r] = sum[r]
  add,       // out[r] += sum[r]
  swiglu,    // out[r] = silu(gate[r]) * up[r], silu(g) = g / (1 + exp(-g)) (arXiv:2002.05202)
  relu2glu,  // out[r] = (max(gate[r], 0) * max(gate[r], 0)) * up[r]
  gelu,      // out[r] = gelu(sum[r]), by tanh's approximation (arXiv:1606.08415): with z = sqrt(2 / pi) *
             // (s + 0.044715 s^3), s / (1 + exp(-2 z)) is s * (1 + tanh z) / 2
};
std::string_view to_string(Epilogue epilogue);  // "swiglu"
// Whether a unit is a tile of one matrix, gate, and a tile of another, up; their tiles alternate.
constexpr bool is_gated(Epilogue epilogue) {
  return epilogue == Epilogue::swiglu || epilogue == Epilogue::relu2glu;
}

// What comes between the sum and its epilogue: sum * scale, then + bias, each rounded.
struct Affine {
  bool scale = false;  // one number for a matrix
  bool bias = false;   // one number for a row; not where the epilogue is gated

  int order() const { return (scale ? 1 : 0) + (bias ? 2 : 0); }
  bool operator==(const Affine& other) const { return order() == other.order(); }
  auto operator<=>(const Affine& other) const { return order() <=> other.order(); }
};

// out = W x for the units [unit_begin, unit_end) of a packed matrix. A unit is a tile of 16 rows, where gated
// a tile of gate and one of up; the last one may be partly padding, whose rows are not stored. See
// formats/packing.h. Floats: sum over columns, 4 ways, each step rounded once (fma). bf16_pairs: sum over
// pairs of columns, 4 ways, of each pair the odd column first and then the even one, as VDPBF16PS does: each
// step rounded once, and subnormal numbers are zeros, those that come in as those that come out. Codes: each
// group's integer sum of (code - zero) * code of x, times the subscale where there are any, is exact; then
// over groups in order, each step rounded once:
//   v = float(isum) * scale
//   v = fma(float(msum), min, v), with minima; msum is the exact sum of (submin *) codes of x
//   acc = fma(v, scale of x, acc)
struct MatvecArgs {
  const std::byte* w;
  const float* x;    // (cols), where nothing prepares it (input_format())
  QuantizedArgs xq;  // (cols), where something does; read
  float* out;        // (rows)
  std::int64_t unit_begin;
  std::int64_t unit_end;
  const float* scales = nullptr;  // (1), where gated (2): gate's and up's
  const float* bias = nullptr;    // (rows)
};
struct MatvecKey {
  using Args = MatvecArgs;
  Format format;
  int rows;  // of the result
  int cols;
  Epilogue epilogue;
  int streams = 1;  // tiles read side by side: 1, 2 or 4; changes no bit
  Affine affine{};
  auto operator<=>(const MatvecKey&) const = default;
};

// A prompt chunk's activations are matrices with a row for each token. Rows lie this many elements apart:
// whole cache lines, and never a power of two, which would put all rows into the same few cache sets.
constexpr std::int64_t row_stride(std::int64_t n) {
  return round_up(n, 32) + 32;
}
// The codes of a quantised row of n values take this many bytes, and rows lie row_stride() of that apart, as
// do those of rounded_bytes();
// scales and sums lie n / group apart, offsets and subsums n / subgroup.
constexpr std::int64_t quantized_codes(std::int64_t n, int group) {
  return n / group * round_up(group, 4);
}

// out[t] = W x[t] for tokens t < n_tokens, with the same sums in the same order as matvec: prompt chunks give
// the bits that single tokens give. Works in blocks of kTokenBlock tokens; the rows that fill up the last
// block are read and written too.
inline constexpr int kTokenBlock = 8;
struct MatmulArgs {
  const std::byte* w;
  const float* x;      // (n_tokens, cols), as matvec's
  QuantizedArgs xq;    // (n_tokens, cols), the same
  std::byte* scratch;  // matmul_scratch_bytes(), whose contents before and after mean nothing
  float* out;          // (n_tokens, rows)
  std::int64_t unit_begin;
  std::int64_t unit_end;
  std::int64_t n_tokens;          // >= 1
  const float* scales = nullptr;  // as matvec's
  const float* bias = nullptr;
};
struct MatmulKey {
  using Args = MatmulArgs;
  Format format;
  int rows;
  int cols;
  Epilogue epilogue;
  Affine affine{};
  auto operator<=>(const MatmulKey&) const = default;
};
std::int64_t matmul_scratch_bytes(const MatmulKey& key);

// Rotates pairs (2i, 2i+1) of each head by the position's angles (RoPE, arXiv:2104.09864):
// out = fma(swap(x), sin, x * cos), swap exchanging the pair's two, sin negative for the first of it. Token t
// stands at position at->pos + t.
struct RopeArgs {
  const float* x;  // (n_tokens, n_heads, head_dim)
  float* out;      // the same, may be x
  const float*
      table;  // (seq_len, 2, head_dim): cos, then signed sin, each value twice, once a lane of the pair
  const Cursor* at;
  std::int64_t n_heads;           // >= 1
  std::int64_t n_tokens = 1;      // >= 1
  std::int64_t token_stride = 0;  // floats from a token's first head to the next one's
};
struct RopeKey {
  using Args = RopeArgs;
  int head_dim;  // even
  auto operator<=>(const RopeKey&) const = default;
};

// What keys and values are kept as. kv_layout.h says how they lie in memory, which starts as zeros. q8_0: s8
// codes in blocks of kKvBlock dimensions, and a scale for each block of a position.
enum class KvType : std::uint8_t { f32, f16, bf16, q8_0 };
std::string_view to_string(KvType type);
inline constexpr int kKvBlock = 32;

// Writes k and v of token t into the cache at position at->pos + t, rounded to the cache's type; values'
// padding is written too. q8_0: each block's scale and codes are those of QuantizeKey.
struct KvAppendArgs {
  const float* k;      // (n_tokens, n_kv_heads, head_dim)
  const float* v;      // the same
  std::byte* k_cache;  // of the first head; the others follow
  std::byte* v_cache;
  const Cursor* at;
  std::int64_t n_kv_heads;        // >= 1
  std::int64_t n_tokens = 1;      // >= 1
  std::int64_t token_stride = 0;  // floats from a token's first head to the next one's
};
struct KvAppendKey {
  using Args = KvAppendArgs;
  KvType type;
  int head_dim;
  int seq_len;  // a multiple of 16
  auto operator<=>(const KvAppendKey&) const = default;
};

// For each query head: out = sum over positions p <= at->pos of softmax(q.k[p] / sqrt(head_dim))[p] * v[p].
// Query heads of one K/V head are adjacent (GQA, arXiv:2305.13245). Later positions of the cache must be
// finite. Works through ranges of kAttentionRange positions from 0 on. In each:
//
//   s = q.k[p] / sqrt(head_dim): sum over head_dim, 2 ways; q8_0: such a sum over the codes of each block,
//   then
//       over blocks in order, acc = fma(sum, scale, acc)
//   m = max s;  w = exp(s - m)
//   l = sum of w: sixteen lanes in order, folded in halves
//   o = sum of w * v[p]: over positions, value_ways() ways; q8_0: w * scale, rounded, times code
//
// The first range is copied; every other one is merged, in ascending order (arXiv:1805.02867): with
// m' = max(m, m_r), a = exp(m - m'), b = exp(m_r - m'): l = fma(l_r, b, l * a), o = fma(o_r, b, o * a).
// In the end out = fma(o, 1 / l, +0).
//
// With `tokens` > 1, so many tokens of a prompt at once: token t stands at position at->pos + t and sees no
// later ones. Each vector of keys and values is then read once for all of them. at->pos must be a multiple of
// `tokens`, so that all stand in one range and one group of sixteen positions.
inline constexpr int kAttentionRange = 256;
// Of scratch: a query's scores of a range, and sixteen floats more.
inline constexpr int kScoreRow = kAttentionRange + kLanes;

struct AttentionArgs {
  const float* q;            // (tokens, n_kv_heads * group, head_dim)
  const std::byte* k_cache;  // of the first K/V head
  const std::byte* v_cache;
  float* out;      // as q
  float* scratch;  // scratch_floats() of the key
  const Cursor* at;
  std::int64_t n_kv_heads;  // >= 1
};
struct AttentionKey {
  using Args = AttentionArgs;
  KvType type;
  int head_dim;
  int group;             // query heads for each K/V head
  int seq_len;           // a multiple of 16
  int tokens = 1;        // 1, 2, 4, 8 or 16
  int token_stride = 0;  // floats from a token's first head to the next one's, in q and in out
  auto operator<=>(const AttentionKey&) const = default;

  // Few short heads leave too few independent sums to hide an fma's latency; their positions are summed in
  // more ways.
  int value_ways() const {
    const std::int64_t sums = divide_up(head_dim, kLanes) * group;
    return sums >= 8 ? 1 : sums >= 4 ? 2 : 4;
  }
  // Of one K/V head: queries, each with a row of scores.
  int rows() const { return tokens * group; }
  // K/V heads that take each step side by side, which hides the latency of one's softmax behind another's.
  int heads_at_once() const { return tokens == 1 && group < kRows ? kRows / group : 1; }
  // For q8_0 as many rows again hold weights times a block's scales.
  std::int64_t scratch_floats() const {
    return std::int64_t{heads_at_once()} * rows() * kScoreRow * (type == KvType::q8_0 ? 2 : 1);
  }
  // How many tokens at once a group takes best: as many as make no more rows than have their sums in
  // registers side by side.
  static constexpr int best_tokens(int group) {
    int n = 1;
    while (2 * n * group <= kRows) n *= 2;
    return n;
  }

 private:
  static constexpr int kRows = 8;
};

// A part of the ranges of one K/V head's attention, where several threads share it: those that lie part,
// part + parts, part + 2 * parts, … before the last, so that part 0 has the last one, and with it the
// position at hand. Leaves of each range and query head a record for AttentionMerge: o (head_dim), and behind
// the row's padding m and l.
struct AttentionRangesArgs {
  const float* q;  // (group, head_dim)
  const std::byte* k_cache;
  const std::byte* v_cache;
  float* records;  // (group, ranges of the context, attention_record(head_dim))
  float* scratch;  // scratch_floats() of whole()
  const Cursor* at;
  std::int64_t part;
  std::int64_t parts;
};
struct AttentionRangesKey {
  using Args = AttentionRangesArgs;
  KvType type;
  int head_dim;
  int group;
  int seq_len;  // a multiple of 16
  auto operator<=>(const AttentionRangesKey&) const = default;

  AttentionKey whole() const { return {type, head_dim, group, seq_len}; }
};
constexpr std::int64_t attention_ranges(int seq_len) {
  return divide_up(seq_len, kAttentionRange);
}
constexpr std::int64_t attention_record(int head_dim) {  // floats
  return round_up(head_dim, kLanes) + kLanes;
}

// Makes out of the records of all ranges up to at->pos, as AttentionKey says.
struct AttentionMergeArgs {
  const float* records;  // (n_heads, ranges of the context, attention_record(head_dim))
  float* out;            // (n_heads, head_dim)
  const Cursor* at;
  std::int64_t n_heads;  // query heads, >= 1
};
struct AttentionMergeKey {
  using Args = AttentionMergeArgs;
  int head_dim;
  int seq_len;
  auto operator<=>(const AttentionMergeKey&) const = default;
};

// x = softmax(x * scale) in place, n >= 1: exp(x*scale - max), divided by the sum (sixteen lanes in order,
// folded).
struct SoftmaxArgs {
  float* x;  // (n)
  float scale;
};
struct SoftmaxKey {
  using Args = SoftmaxArgs;
  int n;
  auto operator<=>(const SoftmaxKey&) const = default;
};

// best = the first position in [begin, end) of the largest x, and that x; -infinity at `begin` if none is
// greater than -infinity (all NaN). Slices of a vector merge into the whole's result: the greater x wins, the
// earlier on a tie.
struct Best {
  float value;
  std::int32_t index;
};
struct ArgmaxArgs {
  const float* x;
  Best* best;
  std::int64_t begin;  // a multiple of 16
  std::int64_t end;    // > begin; the vector's own, or a multiple of 16
};
struct ArgmaxKey {
  using Args = ArgmaxArgs;
  int n;  // of the whole vector
  auto operator<=>(const ArgmaxKey&) const = default;
};

using KernelKey =
    std::variant<EmbedKey, NormKey, QuantizeKey, RoundKey, MatvecKey, MatmulKey, RopeKey, KvAppendKey,
                 AttentionKey, AttentionRangesKey, AttentionMergeKey, SoftmaxKey, ArgmaxKey, LessonAddKey,
                 LessonDotKey, LessonAttentionKey, LessonFeedForwardKey, LessonOneBitKey>;

// "matvec_int8_64_768x288_swiglu": a C identifier, the same on every tier; debuggers and dumps show it.
std::string kernel_name(const KernelKey& key);
// "(768, 288)": for tables.
std::string kernel_shape(const KernelKey& key);

}  // namespace llamajit::jit
