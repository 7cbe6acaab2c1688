// Emitter: Xbyak with the vocabulary that the kernels are written in.
//
// Everything is expressed on V16, sixteen 32-bit lanes: one zmm, or two ymm on the 256-bit tiers. A kernel is
// written once in sixteen-lane steps and so does the same arithmetic in the same order on every tier; that,
// and the scalar twins doing it too, is why all tiers agree to the last bit.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <xbyak/xbyak.h>

#include "jit/base/element_type.h"
#include "jit/base/isa.h"
#include "jit/base/lanes.h"
#include "jit/emit/annotations.h"
#include "jit/formats/format.h"

namespace llamajit::jit {

using Xbyak::Reg64;
using Xbyak::RegExp;
using Vec = Xbyak::Xmm;  // an xmm, ymm or zmm; the width is part of the value

// Sixteen lanes in registers. A uniform value (the same
// number in all lanes) keeps both halves in one register.
struct V16 {
  std::array<Vec, 2> part;
  int parts = 0;

  bool uniform() const { return parts == 2 && part[0].getIdx() == part[1].getIdx(); }
};

// A 32-bit constant in all sixteen lanes, kept in the kernel's own constant pool.
struct Const {
  std::uint32_t bits;
};
inline Const f32(float value) {
  return {std::bit_cast<std::uint32_t>(value)};
}
inline Const i32(std::int32_t value) {
  return {static_cast<std::uint32_t>(value)};
}

// The second operand of an operation: registers, sixteen lanes in memory, or a constant.
using Source = std::variant<V16, RegExp, Const>;

// A tile's rows, and the bytes of one: at most 16, and 64.
struct TileShape {
  int rows;
  int row_bytes;
};
// What the bytes of a product's second operand are; those of the first are signed.
enum class TileBytes : std::uint8_t { s8, u8 };

// The same register at another width.
inline Xbyak::Ymm ymm_of(const Vec& v) {
  return Xbyak::Ymm(v.getIdx());
}
inline Xbyak::Xmm xmm_of(const Vec& v) {
  return Xbyak::Xmm(v.getIdx());
}

class Emitter : public Xbyak::CodeGenerator {
 public:
  // Emits into `buffer`, which must outlive the Emitter; Xbyak throws Xbyak::Error when it is full. Says what
  // it does to `annotations`, if there are any; the code is the same either way.
  Emitter(Isa isa, std::span<std::uint8_t> buffer, Annotations* annotations = nullptr);

  Isa isa() const { return isa_; }
  int vectors() const { return isa_.wide() ? 32 : 16; }  // registers in the file

  // --- registers
  // rax is scratch for the helpers below that say so; rdi holds the Args. Both are outside the pool.
  Reg64 scratch() const { return rax; }
  Reg64 args() const { return rdi; }
  // The next free ones; `role` is what listings call them.
  Reg64 gpr(std::string_view role = {});  // all are taken before enter()
  V16 v16(std::string_view role = {});
  V16 uniform16(std::string_view role = {});         // to hold one number in all lanes
  V16 part16(std::string_view role = {});            // for so much of sixteen lanes as one register holds
  int parts() const { return isa_.wide() ? 1 : 2; }  // registers that hold sixteen lanes
  std::vector<V16> v16s(int count, std::string_view role = {});
  // As many as the shape has values; its indices are named in the role: "acc[tile][token]".
  std::vector<V16> v16s(std::initializer_list<int> shape, std::string_view role);
  std::vector<V16> part16s(int count, std::string_view role = {});
  std::vector<V16> part16s(std::initializer_list<int> shape, std::string_view role);
  int free_vectors() const { return vectors() - next_vector_; }
  // The next free tiles, where the tier has them, for the whole kernel.
  std::vector<Xbyak::Tmm> tiles(std::initializer_list<int> shape, std::string_view role);

  // Vector registers taken while a scope lives are free again after it.
  class VectorScope {
   public:
    explicit VectorScope(Emitter& emitter) : emitter_(emitter), mark_(emitter.next_vector_) {}
    ~VectorScope() {
      emitter_.next_vector_ = mark_;
      emitter_.record(
          [&](Annotations& a, std::uint32_t at) { a.end_roles(Annotations::File::vector, mark_, at); });
    }
    VectorScope(const VectorScope&) = delete;
    VectorScope& operator=(const VectorScope&) = delete;

   private:
    Emitter& emitter_;
    int mark_;
  };

  // --- for listings; without Annotations these do nothing
  // Says what the instructions from here on do, until the next note.
  template <class... Values>
  void note(fmt::format_string<Values...> text, Values&&... values) {
    record([&](Annotations& a, std::uint32_t at) {
      a.notes.push_back({at, fmt::format(text, std::forward<Values>(values)...)});
    });
  }
  // A register that is outside the pool, or has another role from here on.
  void name(const Xbyak::Reg& reg, std::string_view role);
  void name(const V16& value, std::string_view role);
  void name(const std::vector<V16>& values, std::string_view role);  // that were taken together
  void name_stack(int offset, std::string_view role);                // what lies at rsp + offset

  // --- the frame (System V ABI)
  // endbr64, rbp frame, saves the callee-saved registers taken so far; rsp is then the address of
  // `stack_bytes` of scratch, a multiple of 64 like the address.
  void enter(int stack_bytes = 0);
  void leave();  // releases tiles, restores, returns, then lays down the constant pool

  // --- moves
  void load(const V16& to, const RegExp& from);
  void store(const RegExp& to, const V16& from);
  void copy(const V16& to, const V16& from);
  void zero(const V16& to);
  void broadcast(const V16& to, const RegExp& from);  // one f32 or i32 in memory to all lanes
  void broadcast(const V16& to, Const value);
  void broadcast_lane0(const V16& to, const Vec& from);  // lane 0 of a register to all lanes
  // Keeps a mask of n lanes ready from here on, so that tails
  // of n in loops need not make it. No effect for n = 16.
  void prepare_tail(int n);
  // The first `n` lanes (1..16); the others become 0 and
  // their memory is not touched. Clobbers rax and a mask.
  void load_tail(const V16& to, const RegExp& from, int n);
  void store_tail(const RegExp& to, const V16& from, int n);
  // Like load_tail, but the other lanes become `fill`.
  void load_tail(const V16& to, const RegExp& from, int n, Const fill);

  // Sixteen elements of the cache's type in memory, as f32: for q8_0 their codes.
  void load_as_f32(const V16& to, const RegExp& from, ElementType type);
  // Sixteen f32 lanes, for q8_0 i32 codes, as elements of the cache's type, rounded to nearest even (16-bit
  // types). Clobbers `from` and a mask.
  void store_as(const RegExp& to, const V16& from, ElementType type);
  // The same for the first n lanes, `stride` bytes apart.
  void scatter_as(const RegExp& to, int stride, const V16& from, int n, ElementType type);
  // The first `bytes` (a multiple of 4) of sixteen i32 lanes as s8, saturated. Leaves `from` as it is.
  void store_s8(const RegExp& to, const V16& from, int bytes);

  // --- lane arithmetic: each `to` may be one of the sources
  void add(const V16& to, const V16& a, const Source& b);
  void sub(const V16& to, const V16& a, const Source& b);
  void mul(const V16& to, const V16& a, const Source& b);
  void div(const V16& to, const V16& a, const Source& b);
  void max(const V16& to, const V16& a, const Source& b);    // b where a is not greater, so b where a is NaN
  void min(const V16& to, const V16& a, const Source& b);    // b where a is not less
  void fma(const V16& acc, const V16& a, const Source& b);   // acc += a*b, rounded once
  void muladd(const V16& x, const V16& a, const Source& b);  // x = x*a + b, rounded once
  // acc += a * (one f32 in memory, in all lanes). Clobbers `temp`, where the tier needs it.
  void fma_broadcast(const V16& acc, const V16& a, const RegExp& b, const V16& temp);
  void abs(const V16& to, const V16& a);
  void lane_numbers(const V16& to);  // 0.0 to 15.0
  // Lanes n..15 become `fill`. Clobbers rax and a mask.
  void fill_tail(const V16& to, int n, Const fill);
  // The same for a number of lanes, 0..16, that a register holds. Clobbers a mask.
  void fill_tail(const V16& to, const Reg64& n, Const fill);
  // As that one, but lanes 0..n-1.
  void fill_head(const V16& to, const Reg64& n, Const fill);
  // Lane i changes its sign where bit i of the 16 bits in memory is set. Clobbers a mask.
  void flip_signs(const V16& to, const RegExp& bits);
  // Bit i of `to` = a[i] == b[i]; the other bits become 0. Clobbers `temp`, a and a mask.
  void equal_mask(const Reg64& to, const Reg64& temp, const V16& a, const V16& b);
  void swap_pairs(const V16& to, const V16& a);   // lanes 2i and 2i+1 change places
  void to_float(const V16& to, const Source& a);  // i32 lanes to f32, to nearest even
  void to_int(const V16& to, const V16& a);  // f32 lanes to i32, to nearest even; what does not fit: -2^31
  void add_i32(const V16& to, const V16& a, const Source& b);
  void mul_i32(const V16& to, const V16& a, const Source& b);  // the lower 32 bits
  void shift_left(const V16& to, const V16& a, int bits);      // each lane as 32 bits
  void shift_right(const V16& to, const V16& a, int bits);

  // --- sixteen lanes to one
  // Folds in halves: lane i with i+8, then i+4, i+2, i+1. The result
  // is lane 0 of `from`'s first part; clobbers `from` and `temp`.
  Vec fold_add(const V16& from, const V16& temp);
  Vec fold_add_i32(const V16& from, const V16& temp);
  Vec fold_max(const V16& from, const V16& temp);

  // --- bits and bytes
  void and_bits(const V16& to, const V16& a, const Source& b);
  void or_masked(const V16& to, const V16& bits, const V16& mask);  // to |= bits & mask; clobbers bits
  // Lanes of 32 bits, shifted right by `bits`, left where negative.
  void load_shifted(const V16& to, const RegExp& from, int bits);
  // A kernel has one table of 16 bytes, or of a multiple of it. A register holds the first 16; the others stay in memory.
  void load_table(const V16& to, std::span<const std::uint8_t> bytes);
  // Each byte, below the table's size, becomes that of the table. Of tables beyond 16 bytes, clobbers both temporaries.
  void look_up(const V16& to, const V16& table, const V16& index, const V16& temp);
  void add_bytes(const V16& to, const V16& a, const V16& b);
  // The same of tables whose rows of 16 bytes are looked up each by itself: keeps them, and gives all of a register one.
  using TableRow = std::array<std::uint8_t, 16>;
  void set_rows(std::span<const TableRow> rows);
  void broadcast_row(const V16& to, int row);
  // Each byte, below 16, becomes that of a row in a register.
  void look_up_row(const V16& to, const V16& row, const V16& index);
  // to |= 8 in the bytes whose bit is set: of the first half's bytes that is bit number `bit`, 0 to 3, of 32 bytes in memory; of
  // the second half's the one four higher. `half` is what a part16() holds. Clobbers `temp` and a mask.
  void or_8_if_bit(const V16& to, const RegExp& from, int bit, int half, const V16& temp);
  // to = `value` in lanes whose u16 in memory has the bit, 0 in the others.
  void load_if_bit(const V16& to, const RegExp& from, int bit, const Const& value);
  void load_s8(const V16& to, const RegExp& from);  // bytes to i32 lanes
  void load_u8(const V16& to, const RegExp& from);
  // Two bytes to the two i16 of a lane, each shifted right by `bits`.
  void load_u8_pairs(const V16& to, const RegExp& from, int bits);

  // acc[lane] += sum of w[lane][j] * x[j] of pairs of i16, j = 0, 1, exact. Clobbers `temp`, which has_dot()
  // does not need.
  void dot_i16(const V16& acc, const V16& w, const V16& x, const V16& temp);
  // Dot's masks, which stay clear of those that prepare_tail() takes.
  static Xbyak::Opmask dot_mask(int index) { return Xbyak::Opmask(kLastMask - index); }

  // --- tiles
  // Gives all that were taken their shapes, in this order; their contents become zeros. Comes before their first use.
  void configure_tiles(std::span<const TileShape> shapes);
  // Rows of memory lie as many bytes apart as `stride` holds; the address has no index of its own.
  void load_tile(const Xbyak::Tmm& to, const RegExp& from, const Reg64& stride);
  void store_tile(const RegExp& to, const Reg64& stride, const Xbyak::Tmm& from);
  // acc[m][n] += sum of a[m][4 k + j] * b[k][4 n + j] over k and j = 0..3, modulo 2^32. Throws std::logic_error unless the
  // three are different.
  void dot_tiles(const Xbyak::Tmm& acc, const Xbyak::Tmm& a, const Xbyak::Tmm& b, TileBytes b_bytes);

  // --- control
  // Runs body `count` times, with `counter` counting down;
  // count >= 1 known now, or already in the register >= 1.
  template <class Body>
  void repeat(const Reg64& counter, std::int64_t count, Body body) {
    if (count <= 0) return;
    if (count == 1) return body();
    mov(counter, static_cast<std::uint64_t>(count));
    repeat_known(counter, count, body);
  }
  template <class Body>
  void repeat(const Reg64& counter, Body body) {
    repeat_known(counter, 0, body);
  }
  // While counter >= step: body, counter -= step.
  template <class Body>
  void while_at_least(const Reg64& counter, int step, Body body) {
    Xbyak::Label again, done;
    cmp(counter, step);
    jl(done, T_NEAR);
    align(16);
    L(again);
    const std::size_t begin = getSize();
    body();
    sub(counter, step);
    cmp(counter, step);
    jge(again, T_NEAR);
    record_loop(counter, begin, 0);
    L(done);
  }
  // to += bytes, where bytes may need 64 bits. Clobbers rax for the large ones.
  void advance(const Reg64& to, std::int64_t bytes);

  Xbyak::Address constant(Const value);  // a full vector of it in the pool
  Xbyak::Address constant(Const first_half, Const second_half);

  // Defines a label that listings show by this name.
  void L(Xbyak::Label& label, std::string_view listed_as) {
    record([&](Annotations& a, std::uint32_t at) { a.labels.push_back({at, std::string(listed_as)}); });
    L(label);
  }

  using CodeGenerator::add;
  using CodeGenerator::div;
  using CodeGenerator::L;
  using CodeGenerator::mul;
  using CodeGenerator::sub;

 private:
  // Applies op(part, operand) to each half of `b`; skips the second where `to` is uniform.
  template <class Op>
  void each(const V16& to, const Source& b, Op op);
  Vec next_vector(std::string_view role = {});
  Vec take_vector();
  std::vector<V16> take_vectors(int registers_each, std::initializer_list<int> shape, std::string_view role);
  Xbyak::Xmm packed_s8(const V16& from);  // saturated; in a register of the caller's VectorScope
  // Lanes to 16-bit floats, in the lower half of their own registers. Clobbers registers of its own and a mask.
  void narrow(const V16& lanes, ElementType type);
  enum class Side : std::uint8_t { head, tail };
  void fill_lanes(const V16& to, const Reg64& n, Const fill, Side side);
  Vec half_of(const Vec& v) const { return isa_.wide() ? Vec(ymm_of(v)) : Vec(xmm_of(v)); }
  void extract_piece(const Xbyak::Xmm& to, const Vec& from, int index);  // 16 bytes, index >= 1
  void store_element(const RegExp& to, const Xbyak::Xmm& from, int index, int size);
  Xbyak::Opmask mask_of(int n);     // n lanes; clobbers rax and k1 unless prepared
  Xbyak::Address tail_mask(int n);  // 8 lanes, the first n set; 256-bit tiers
  template <class Op>
  Vec fold(const V16& from, const V16& temp, Op op);

  // repeat(), the counter holding `count` already; 0: not known now.
  template <class Body>
  void repeat_known(const Reg64& counter, std::int64_t count, Body body) {
    Xbyak::Label again;
    align(16);
    L(again);
    const std::size_t begin = getSize();
    body();
    dec(counter);
    jnz(again, T_NEAR);
    record_loop(counter, begin, count);
  }
  // Calls what(annotations, offset of the next instruction) if there are any.
  template <class What>
  void record(What what) {
    if (annotations_ != nullptr) what(*annotations_, static_cast<std::uint32_t>(getSize()));
  }
  void lay_down_constants();
  void name_lanes(const Xbyak::Opmask& mask, int first, int end);
  void record_role(Annotations::File file, int first, int registers_each, std::initializer_list<int> shape,
                   std::string_view role);
  void record_loop(const Reg64& counter, std::size_t begin, std::int64_t turns);
  void broadcast_table_row(const Vec& to, int row);
  void record_constant(const std::vector<std::uint32_t>& values, std::string_view meaning);
  void lay_down(std::span<const std::uint8_t> bytes, std::string_view meaning);

  static constexpr int kPartBytes = 32;  // of a ymm
  static constexpr int kMaskLanes = 8;
  static constexpr int kLastMask = 7;  // dot_mask() takes masks from here down, prepare_tail() from 2 up

  Isa isa_;
  Annotations* annotations_;
  int next_gpr_ = 0;
  int next_vector_ = 0;
  int next_tile_ = 0;
  bool has_scratch_ = false;
  int saved_ = 0;                      // how many callee-saved registers enter() pushed
  std::map<int, int> prepared_masks_;  // lanes to mask register
  std::map<std::pair<std::uint32_t, std::uint32_t>, Xbyak::Label> constants_;  // by the lanes of either half
  Xbyak::Label tail_masks_;
  bool uses_tail_masks_ = false;
  Xbyak::Label lane_numbers_;  // 0..15
  bool uses_lane_numbers_ = false;
  std::vector<std::uint8_t>
      table_;  // look_up()'s has from 16 on what is to be added to the byte 16 places before
  Xbyak::Label table_label_;
  using TileConfig = std::array<std::uint8_t, 64>;
  std::map<TileConfig, Xbyak::Label> tile_configs_;
};

template <class Op>
void Emitter::each(const V16& to, const Source& b, Op op) {
  for (int p = 0; p < to.parts; ++p) {
    const auto part = static_cast<std::size_t>(p);
    if (p == 1 && to.uniform()) return;
    if (const auto* lanes = std::get_if<V16>(&b)) {
      op(part, lanes->part[part]);
    } else if (const auto* memory = std::get_if<RegExp>(&b)) {
      op(part, ptr[*memory + kPartBytes * p]);
    } else {
      op(part, constant(std::get<Const>(b)));
    }
  }
}

}  // namespace llamajit::jit
