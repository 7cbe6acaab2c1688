// What all matvecs have in common: the walk over tiles and tokens, and the epilogue.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>

#include <fmt/format.h>

#include "jit/emit/emitter.h"
#include "jit/formats/packing.h"
#include "jit/kernels/matvec.h"

namespace llamajit::jit {

// Tiles are read side by side, as many as the Key says: more share each broadcast of x, fewer are fewer
// streams of memory. What is faster depends on where the weights lie (docs/performance-changes.md).
//
// The sums of one token stay in registers until the epilogue has stored them; those of several pass through
// the stack: as many tokens as there are registers for share each weight that is taken apart, and where that is
// not all, the tiles are read again, from a cache, for the next ones.
class MatvecFrame {
 public:
  MatvecFrame(Emitter& emitter, const MatvecKey& matvec_key) : e(emitter), key(matvec_key) {}
  virtual ~MatvecFrame() = default;
  MatvecFrame(const MatvecFrame&) = delete;
  MatvecFrame& operator=(const MatvecFrame&) = delete;

  void generate();

 protected:
  static constexpr int kCacheLine = 64;
  static constexpr auto kXq = offsetof(MatvecArgs, xq);

  // Registers for the sums of some tiles, each with some tokens.
  struct Sums {
    std::span<const V16> all;  // [tile][token]
    int tokens;
    int part = 0;  // of each tile's rows, where a register does not hold all of them

    int tiles() const { return static_cast<int>(all.size()) / tokens; }
    std::size_t at(int tile, int token) const { return static_cast<std::size_t>(tile * tokens + token); }
  };

  // Emits the sums of the tiles at w. Moves w past the first of them.
  virtual void sum(const Sums& sums) = 0;
  // How many tokens there are registers for beside `n_tiles`, where there are several.
  virtual int most_tokens(int n_tiles) const = 0;

  int tiles_per_unit() const { return is_gated(key.epilogue) ? 2 : 1; }
  std::int64_t matrix_bytes() const {
    return packed_bytes(key.format, key.rows, key.cols) * tiles_per_unit();
  }
  // Whether it is likely to be read from memory, as it fills a good part of any second-level cache.
  bool is_large() const { return matrix_bytes() >= std::int64_t{1} << 20; }
  bool one_token() const { return key.tokens == 1; }
  // to = the argument at `offset`, of the first token that is being summed
  void input_pointer(const Reg64& to, std::size_t offset, int stride);
  // While several tokens are multiplied with some tiles, the next ones are fetched, at the pace at which all
  // passes use these up: what one of them fetches while it does `bytes` of each tile.
  int share_of_pass(int n_tiles, int bytes) const { return n_tiles * bytes / (passes() * e.parts()); }
  // Asks for the lines of `bytes` at next_tiles that fall to step `step` of `steps`.
  void prefetch_next(int step, int steps, int bytes);
  // One token: asks for those that lie so far ahead of `at` that memory has answered by then.
  void prefetch_ahead(const RegExp& at, int step, int steps, int bytes);
  // Moves next_tiles on when `bytes` of each tile are done.
  void advance_next(int n_tiles, int bytes);
  // Calls fetch(offset) for the lines of `bytes` that do: all at once would fill the queue of misses.
  template <class Fetch>
  void over_lines(int step, int steps, int bytes, Fetch fetch) {
    const int n = static_cast<int>(divide_up(bytes, kCacheLine));
    for (int line = step * n / steps; line < (step + 1) * n / steps; ++line) fetch(line * kCacheLine);
  }
  // Returns how many bytes lie between two tokens' x, or what x was prepared as.
  int x_stride() const {
    return static_cast<int>(input ? prepared_stride(input->codes_bytes(key.cols)) : row_stride(key.cols) * 4);
  }

  Emitter& e;
  const MatvecKey& key;
  const int tile = static_cast<int>(tile_bytes(key.format, key.cols));
  const std::optional<InputFormat> input = input_format(key.format);
  const CodesLayout layout{key.format};
  const Subnumbers numbers = layout.numbers_of_x();
  const Reg64 w = e.gpr("w");

 private:
  // The 256-bit tiers have registers for one tile's sums.
  int streams() const { return e.isa().wide() ? key.streams : 1; }
  int units_at_once() const { return std::max(1, streams() / tiles_per_unit()); }
  void emit_units(int n_units, int rows);
  void finish(const V16* sums, int offset, int rows);
  void prefetch_line(const RegExp& at);

  int passes() const {
    return one_token() ? 1 : static_cast<int>(divide_up(key.tokens, most_tokens(streams())));
  }
  int tokens_at_once() const { return static_cast<int>(divide_up(key.tokens, passes())); }
  int out_stride() const { return static_cast<int>(row_stride(key.rows)) * 4; }
  // Sums of several tokens wait on the stack for the epilogue.
  static constexpr int kSumBytes = kLanes * 4;
  int sum_at(int tile_index, int t) const { return (tile_index * key.tokens + t) * kSumBytes; }
  int stack_bytes() const { return one_token() ? 0 : sum_at(units_at_once() * tiles_per_unit(), 0); }
  void emit_units_of_tokens(int n_units, int rows);
  void sum_all_tokens(int first_tile, int n);
  void sum_to_stack(int first_tile, int n, int part);
  void finish_token(int unit, int t, int rows);

  const Reg64 out = e.gpr("out"), units = e.gpr("units");

 protected:
  const Reg64 x = e.gpr("x"), count = e.gpr("count");
  // Only matrices of codes use these.
  const Reg64 groups = e.gpr("groups"), x_scales = e.gpr("x_scales");
  const Reg64 x_numbers = e.gpr(fmt::format("x_{}", numbers.name));

  // Several tokens have this for prefetch_next().
  const Reg64 next_tiles = one_token() ? Reg64() : e.gpr("next_tiles");

 private:
  // Several tokens have these, too.
  const Reg64 token = one_token() ? Reg64() : e.gpr("token");
  const Reg64 sums_of_token = one_token() ? Reg64() : e.gpr("sums_of_token");
};

// Emits the kernel of a matrix of codes.
void generate_coded_matvec(Emitter& e, const MatvecKey& key);

}  // namespace llamajit::jit
