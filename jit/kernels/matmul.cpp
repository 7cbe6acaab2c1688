#include <vector>

#include "jit/formats/packing.h"
#include "jit/kernels/float_step.h"
#include "jit/kernels/generators.h"
#include "jit/kernels/matmul_frame.h"
#include "jit/kernels/plain_layout.h"
#include "jit/kernels/product_layout.h"

namespace llamajit::jit {
namespace {

constexpr int kMatmulWays = 4;

// Floats: a column or a pair of them a step. One sum for each tile and token stays in a register (24 of the
// 32 that AVX-512 has: 3 tiles x 8 tokens), so that a step of 3 weight vectors and 8 broadcasts feeds 24
// multiplications. Each of the 4 ways is a pass over all columns.
class FloatMatmul : public MatmulFrame {
 public:
  FloatMatmul(Emitter& emitter, const MatmulKey& matmul_key)
      : MatmulFrame(emitter, matmul_key, emitter.isa().wide() ? kTokenBlock : kTokenBlock / 2) {}

 private:
  // Returns how many bytes lie between two tokens' x, or its rounded values.
  int x_stride() const {
    return static_cast<int>(input ? prepared_stride(input->codes_bytes(key.cols)) : row_stride(key.cols) * 4);
  }
  std::size_t x_argument() const {
    return input ? offsetof(MatmulArgs, xq) + offsetof(QuantizedArgs, codes) : offsetof(MatmulArgs, x);
  }

  void sum(int first_tile, int n) override {
    Emitter::VectorScope scope(e);
    e.lea(at_w, e.ptr[w + first_tile * tile]);
    const std::vector<V16> sums = e.v16s({tokens_at_once, n}, "sums[token][tile]");
    const FloatStep step(e, key.format, n);
    const auto add_step = [&](int k) {
      e.note("a step: {} tiles of 16 rows, {} tokens", n, tokens_at_once);
      for (int i = 0; i < n; ++i) step.load_weights(i, at_w + i * tile + k * step.weight_bytes());
      for (int t = 0; t < tokens_at_once; ++t) {
        step.load_input(at_x + t * x_stride() + k * FloatStep::kInputBytes);
        for (int i = 0; i < n; ++i) step.add_product(sums[static_cast<std::size_t>(t * n + i)], i);
      }
    };
    constexpr int kUnroll = 4;  // steps of one way
    const int turn = kUnroll * kMatmulWays;
    const int steps = step.steps(key.cols), turns = steps / turn;
    for (int way = 0; way < kMatmulWays; ++way) {
      e.note("tiles {} to {}: steps {}, {}, … (way {} of {})", first_tile, first_tile + n - 1, way,
             way + kMatmulWays, way, kMatmulWays);
      for (const V16& sum : sums) e.zero(sum);
      token_pointer(at_x, x_argument(), x_stride());
      step.begin();
      e.repeat(count, turns, [&] {
        for (int k = way; k < turn; k += kMatmulWays) add_step(k);
        prefetch(n * kUnroll * step.weight_bytes());
        e.add(at_x, turn * FloatStep::kInputBytes);
        e.add(at_w, turn * step.weight_bytes());
      });
      for (int k = way; k < steps % turn; k += kMatmulWays) add_step(k);
      step.end();
      e.advance(at_w, -std::int64_t{turns} * turn * step.weight_bytes());
      e.note("add the way to those that came before");
      for (int i = 0; i < n; ++i) {
        for (int t = 0; t < tokens_at_once; ++t) {
          add_way(way, sums[static_cast<std::size_t>(t * n + i)], first_tile + i, t);
        }
      }
    }
  }

  // (a0+a1)+(a2+a3), as the ways come by: scratch holds a0 and then a0+a1, more of it a2.
  void add_way(int way, const V16& sum, int tile_index, int t) {
    const RegExp first = scratch(tile_index, t), second = more_scratch(tile_index, t);
    if (way == 1) e.add(sum, sum, first);
    if (way == 3) {
      e.add(sum, sum, second);
      e.add(sum, sum, first);
    }
    e.store(way == 2 ? second : first, sum);
  }

  const std::optional<InputFormat> input = input_format(key.format);
};

}  // namespace

std::int64_t matmul_scratch_bytes(const MatmulKey& key, Isa isa) {
  const CodesLayout codes(key.format);
  const auto tile = [&] {
    if (uses_tiles(isa, key.format)) return ProductLayout::of_tiles(codes).scratch_bytes(key.cols);
    if (multiplies_byte_products(isa, key.format))
      return ProductLayout::of_vectors(codes).scratch_bytes(key.cols);
    return PlainLayout(codes).scratch_bytes(key.cols);
  };
  return MatmulFrame::most_tiles(key) * tile();
}

void generate(Emitter& e, const MatmulKey& key) {
  if (uses_tiles(e.isa(), key.format)) {
    generate_tile_matmul(e, key);
  } else if (multiplies_byte_products(e.isa(), key.format)) {
    generate_product_matmul(e, key);
  } else if (has_codes(key.format)) {
    e.isa().tier == Tier::avx2 ? generate_avx2_matmul(e, key) : generate_coded_matmul(e, key);
  } else {
    FloatMatmul(e, key).generate();
  }
}

}  // namespace llamajit::jit
