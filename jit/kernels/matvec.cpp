#include <span>
#include <vector>

#include "jit/kernels/float_step.h"
#include "jit/kernels/generators.h"
#include "jit/kernels/matvec_frame.h"

namespace llamajit::jit {
namespace {

constexpr int kWays = 4;

// Floats: a column or a pair of them a step.
class FloatMatvec : public MatvecFrame {
 public:
  FloatMatvec(Emitter& emitter, const MatvecKey& matvec_key) : MatvecFrame(emitter, matvec_key) {}

 private:
  void sum(std::span<const V16> sums) override {
    Emitter::VectorScope scope(e);
    const int n = static_cast<int>(sums.size());
    std::vector<V16> ways(sums.begin(), sums.end());  // way 0, then the others
    for (const V16& more : e.v16s({kWays - 1, n}, "more[way][tile]")) ways.push_back(more);
    const auto way = [&](int k, int i) -> const V16& {
      return ways[static_cast<std::size_t>(k % kWays * n + i)];
    };
    const FloatStep step(e, key.format, 1);
    const int steps = step.steps(key.cols), bytes = step.weight_bytes();
    e.note("{} x 16 rows: sums over {} columns, {} ways", n, key.cols, kWays);
    for (const V16& sum : ways) e.zero(sum);
    const auto add_step = [&](int k) {
      step.load_input(x + k * FloatStep::kInputBytes);
      for (int i = 0; i < n; ++i) step.add_product(way(k, i), w + i * tile + k * bytes);
    };
    constexpr int kUnroll = 16;
    e.mov(x, e.ptr[e.args() + (input_format(key.format) ? kXq + offsetof(QuantizedArgs, codes)
                                                        : offsetof(MatvecArgs, x))]);
    step.begin();
    e.repeat(count, steps / kUnroll, [&] {
      for (int k = 0; k < kUnroll; ++k) add_step(k);
      e.add(x, kUnroll * FloatStep::kInputBytes);
      e.add(w, kUnroll * bytes);
    });
    for (int k = 0; k < steps % kUnroll; ++k) add_step(k);
    step.end();
    e.advance(w, tile - steps / kUnroll * kUnroll * bytes);
    e.note("the ways' sum");
    for (int i = 0; i < n; ++i) {
      e.add(way(0, i), way(0, i), way(1, i));
      e.add(way(2, i), way(2, i), way(3, i));
      e.add(way(0, i), way(0, i), way(2, i));
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
