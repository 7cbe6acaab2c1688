#include <span>
#include <vector>

#include "jit/kernels/float_step.h"
#include "jit/kernels/generators.h"
#include "jit/kernels/matvec_frame.h"

namespace llamajit::jit {
namespace {

constexpr int kMatvecWays = 4;

// Floats: a column or a pair of them a step.
class FloatMatvec : public MatvecFrame {
 public:
  FloatMatvec(Emitter& emitter, const MatvecKey& matvec_key) : MatvecFrame(emitter, matvec_key) {}

 private:
  int most_tokens(int n_tiles) const override {
    const int once = FloatStep::registers(e.isa(), key.format, n_tiles);
    return (e.vectors() - once) / (kMatvecWays * n_tiles);
  }

  void sum(const Sums& sums) override {
    Emitter::VectorScope scope(e);
    const int n = sums.tiles();
    const Step step(*this, sums);
    const FloatStep& product = step.product;
    const int steps = product.steps(key.cols), bytes = product.weight_bytes();
    e.note("{} x 16 rows: sums over {} columns, {} ways", n, key.cols, kMatvecWays);
    for (const V16& sum : step.ways) e.zero(sum);
    const int unroll = one_token() ? 16 : 8;
    input_pointer(x, input ? kXq + offsetof(QuantizedArgs, codes) : offsetof(MatvecArgs, x), x_stride());
    product.begin();
    e.repeat(count, steps / unroll, [&] {
      for (int k = 0; k < unroll; ++k) {
        prefetch(n, k, unroll, unroll * bytes);
        add_step(step, k);
      }
      advance_next(n, unroll * bytes);
      e.add(x, unroll * FloatStep::kInputBytes);
      e.add(w, unroll * bytes);
    });
    for (int k = 0; k < steps % unroll; ++k) add_step(step, k);
    product.end();
    e.advance(w, tile - steps / unroll * unroll * bytes);
    e.note("the ways' sum");
    for (std::size_t i = 0; i < sums.all.size(); ++i) {
      e.add(step.way(0, i), step.way(0, i), step.way(1, i));
      e.add(step.way(2, i), step.way(2, i), step.way(3, i));
      e.add(step.way(0, i), step.way(0, i), step.way(2, i));
    }
  }

  // The registers that sums are made with: four for each of them.
  struct Step {
    Step(FloatMatvec& g, const Sums& s)
        : sums(s),
          ways(s.all.begin(), s.all.end()),
          more(g.more_ways(s)),
          product(g.e, g.key.format, g.one_token() ? 1 : s.tiles(), g.one_token()) {
      ways.insert(ways.end(), more.begin(), more.end());
    }
    const V16& way(int k, std::size_t sum) const {
      return ways[static_cast<std::size_t>(k % kMatvecWays) * sums.all.size() + sum];
    }
    Sums sums;
    std::vector<V16> ways;  // way 0 of all sums, then the others
    std::vector<V16> more;
    FloatStep product;
  };
  std::vector<V16> more_ways(const Sums& sums) {
    if (one_token()) return e.v16s({kMatvecWays - 1, sums.tiles()}, "more[way][tile]");
    return e.part16s({kMatvecWays - 1, sums.tiles(), sums.tokens}, "more[way][tile][token]");
  }

  void prefetch(int n_tiles, int step, int steps, int bytes) {
    if (!one_token()) return prefetch_next(step, steps, share_of_pass(n_tiles, bytes));
    if (!is_large()) return;
    for (int i = 0; i < n_tiles; ++i) prefetch_ahead(w + i * tile, step, steps, bytes);
  }

  void add_step(const Step& step, int k) {
    const FloatStep& product = step.product;
    const int bytes = product.weight_bytes(), n = step.sums.tiles();
    const RegExp x_k = x + k * FloatStep::kInputBytes;
    const auto weights = [&](int i) { return w + (i * tile + k * bytes + step.sums.part * bytes / 2); };
    if (one_token()) {
      product.load_input(x_k);
      for (int i = 0; i < n; ++i) product.add_product(step.way(k, step.sums.at(i, 0)), weights(i));
      return;
    }
    for (int i = 0; i < n; ++i) product.load_weights(i, weights(i));
    for (int t = 0; t < step.sums.tokens; ++t) {
      const RegExp x_t = x_k + t * x_stride();
      if (n == 1) {
        product.add_broadcast_product(step.way(k, step.sums.at(0, t)), 0, x_t);
        continue;
      }
      product.load_input(x_t);
      for (int i = 0; i < n; ++i) product.add_product(step.way(k, step.sums.at(i, t)), i);
    }
  }
};

}  // namespace

void generate(Emitter& e, const MatvecKey& key) {
  if (has_codes(key.format)) {
    generate_coded_matvec(e, key);
  } else {
    FloatMatvec(e, key).generate();
  }
}

}  // namespace llamajit::jit
