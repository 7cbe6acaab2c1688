// A step of a product with float weights: sixteen rows by one column, or by two of bf16_pairs.
#pragma once

#include <vector>

#include "jit/emit/emitter.h"
#include "jit/formats/format.h"

namespace llamajit::jit {

class FloatStep {
 public:
  static constexpr int kInputBytes = 4;  // an f32, or a pair

  // Takes the registers that it needs, weights of `n_tiles` among them, for as long as the caller's
  // VectorScope lives. Weights fill sixteen lanes (`whole`) or a part16().
  FloatStep(Emitter& emitter, Format format, int n_tiles, bool whole = true);
  // Returns how many registers it takes where weights are parts of tiles.
  static int registers(Isa isa, Format format, int n_tiles) {
    return (must_take_apart(isa, format) ? 2 : 1) * (1 + n_tiles);
  }

  int weight_bytes() const { return kLanes * (is_pair_ || format_.kind == FormatKind::f32 ? 4 : 2); }
  int steps(int cols) const { return is_pair_ ? static_cast<int>(divide_up(cols, 2)) : cols; }

  // These stand around a sum of pairs, in which subnormal numbers are zeros. The instruction for pairs sees to it itself;
  // elsewhere the processor is told so meanwhile.
  void begin() const;
  void end() const;

  void load_input(const RegExp& from) const;
  void load_weights(int tile, const RegExp& from) const;
  void add_product(const V16& sum, int tile) const;
  // The same with x in memory. Clobbers what load_input() fills.
  void add_broadcast_product(const V16& sum, int tile, const RegExp& input) const;
  // The same with weights that are used once. Clobbers those of tile 0.
  void add_product(const V16& sum, const RegExp& weights) const;

 private:
  // Without an instruction for pairs they are taken apart.
  bool by_instruction() const { return is_pair_ && e_.isa().has_bf16_dot(); }
  static bool must_take_apart(Isa isa, Format format) {
    return format.kind == FormatKind::bf16_pairs && !isa.has_bf16_dot();
  }
  bool apart() const { return must_take_apart(e_.isa(), format_); }
  void take_apart(const V16& even, const V16& odd) const;  // `even` holds the pairs

  Emitter& e_;
  Format format_;
  bool is_pair_;
  V16 x_, x_odd_;
  std::vector<V16> weights_, odd_weights_;  // of the tiles
};

}  // namespace llamajit::jit
