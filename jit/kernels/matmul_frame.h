// What all matmuls have in common: the walk over blocks of rows and of tokens, prefetch and epilogue.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "jit/emit/emitter.h"
#include "jit/formats/packing.h"
#include "jit/kernels/matmul.h"
#include "jit/kernels/plain_layout.h"

namespace llamajit::jit {

// For each block of tiles, each block of tokens: sums of all of them at once in registers, which pass through
// scratch on the stack, so that the epilogue is the same for every shape of block. The tiles' weights are
// read from memory once, and again from the second-level cache for each block of tokens.
class MatmulFrame {
 public:
  MatmulFrame(Emitter& emitter, const MatmulKey& matmul_key, int n_tokens_at_once)
      : e(emitter), key(matmul_key), most_tokens(n_tokens_at_once), tokens_at_once(n_tokens_at_once) {}
  virtual ~MatmulFrame() = default;
  MatmulFrame(const MatmulFrame&) = delete;
  MatmulFrame& operator=(const MatmulFrame&) = delete;

  void generate();
  // A block of rows has at most so many tiles.
  static int most_tiles(const MatmulKey& key) { return kTilesAtOnce * (is_gated(key.epilogue) ? 2 : 1); }

 protected:
  // Is called before each block of rows, whose tiles are at w.
  virtual void begin_rows(int /*n_tiles*/) {}
  // Emits the walk over all tokens: block(n) for so many of them from `token` on, which it moves past them.
  using TokenBlock = std::function<void(int n_tokens)>;
  virtual void over_tokens(const TokenBlock& block);
  // What the kernel wants of the stack.
  virtual int stack_bytes() const { return 2 * scratch_bytes(); }
  // Emits the sums of `n` of a block's tiles and of the tokens from `token` on, to scratch.
  virtual void sum(int first_tile, int n) = 0;

  int tiles_at_once() const { return e.isa().wide() ? kTilesAtOnce : 1; }
  int tiles_per_unit() const { return is_gated(key.epilogue) ? 2 : 1; }
  // Scratch has sixteen floats for each tile of a block and each token, a second time for those who want it.
  RegExp scratch(int tile_index, int t) const { return e.rsp + (tile_index * most_tokens + t) * kLanes * 4; }
  int scratch_bytes() const { return scratch_tiles() * most_tokens * kLanes * 4; }
  RegExp more_scratch(int tile_index, int t) const { return scratch(scratch_tiles() + tile_index, t); }
  // While this block of rows is multiplied, the next one is fetched into the second-level cache, so much at
  // each call that it has come when most of a chunk's tokens are through.
  void prefetch(int bytes_done);
  // to = the argument at `offset` + token * stride
  void token_pointer(const Reg64& to, std::size_t offset, int stride);

  Emitter& e;
  const MatmulKey& key;
  const int most_tokens;  // of a block
  int tokens_at_once;     // of the one that is being emitted
  const int tile = static_cast<int>(tile_bytes(key.format, key.cols));
  const Reg64 w = e.gpr("w"), token = e.gpr("token");
  const Reg64 at_w = e.gpr("at_w"), at_x = e.gpr("at_x"), count = e.gpr("count");

 private:
  static constexpr int kTilesAtOnce = 3;  // of a matrix, on 512-bit tiers

  int scratch_tiles() const { return tiles_at_once() * tiles_per_unit(); }
  int unit_bytes() const { return tiles_per_unit() * tile; }
  int out_stride() const { return static_cast<int>(row_stride(key.rows)) * 4; }
  void emit_row_block(int n_units, int rows);
  void emit_token_block(int n_units, int rows);
  void finish(int unit, int t, int rows);

  const Reg64 out = e.gpr("out"), units = e.gpr("units"), at_out = e.gpr("at_out"), ahead = e.gpr("ahead");
};

// What matmuls of codes have in common: the walk over a token's codes and numbers.
class CodesFrame : public MatmulFrame {
 protected:
  using MatmulFrame::MatmulFrame;

  int n_groups() const { return key.cols / codes.group; }
  int x_stride() const { return static_cast<int>(prepared_stride(input->codes_bytes(key.cols))); }
  int scales_stride() const { return n_groups() * 4; }
  int numbers_stride() const { return key.cols / codes.subgroup * numbers.bytes; }
  // Emits at_x, x_scales and x_numbers = the block's first token's.
  void point_at_tokens();
  // at_w = tile `tile_index` of scratch, whose tiles are so long
  void point_at_scratch(int tile_index, std::int64_t bytes);

  const std::optional<InputFormat> input = input_format(key.format);
  const CodesLayout codes{key.format};
  const Subnumbers numbers = codes.numbers_of_x();
  const Reg64 groups = e.gpr("groups"), x_scales = e.gpr("x_scales");
  const Reg64 x_numbers = e.gpr(std::string("x_").append(numbers.name));
};

// The same with tiles as plain_layout.h has them: packed so, or written so to scratch.
class PlainFrame : public CodesFrame {
 protected:
  using CodesFrame::CodesFrame;

  void begin_rows(int n_tiles) override;
  int plain_tile() const { return plain.is_packed ? tile : static_cast<int>(plain.scratch_bytes(key.cols)); }
  void point_at_tile(int tile_index);  // at_w = that of the block
  // How scales stand, and minima.
  ElementType number_type() const;

  const PlainLayout plain{codes};
  const SubscaleForm form = subscale_form(e.isa(), codes);
};

// Emit the kernel of a matrix of codes: with vectors, on 256-bit tiers that have no dot product in a way of its own, where
// multiplies_byte_products() of products, and where uses_tiles() with tiles.
void generate_coded_matmul(Emitter& e, const MatmulKey& key);
void generate_avx2_matmul(Emitter& e, const MatmulKey& key);
void generate_product_matmul(Emitter& e, const MatmulKey& key);
void generate_tile_matmul(Emitter& e, const MatmulKey& key);

}  // namespace llamajit::jit
