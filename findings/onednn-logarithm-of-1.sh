#!/usr/bin/env bash
# Software  oneDNN 2.6.3-1 (libdnnl-dev, libdnnl2), on a CPU with AVX2 (the script ends with 2 where it doesn't have it)
# Guess     log(1) is 0 and a log-probability isn't positive. The kernels of different instruction sets differ in the last
#           places only, and a NaN comes out of exp(), as it does of all other functions but perhaps a relu.
# Seen      Kernels for AVX2 make -1.43e-6 of log(1), and a negative number of log(1.000001) too; those for SSE4.1 make 0 and
#           9.54e-7. -1.43e-6 is what 127 times float's log(2) loses when it is rounded: the exponent comes with its
#           bias of 127, a fused multiply-add keeps the product exact, and the rounded one is then taken off. So the
#           log-probability of a token that is sure, by logsoftmax, is +1.43e-6, a probability above 1. exp(NaN) is
#           Infinity for either, logistic(NaN) and tanh(NaN) are NaN, and clip(NaN) is the lower bound. In a softmax of 67
#           numbers with one NaN the others become 0, not NaN, but for eight (AVX2) or 16 (SSE4.1) of them if the NaN is in the
#           tail after the last whole vector.
# Matters   Sure tokens are the most frequent ones: copied text, the closing bracket, the rest of a long word. Their sum of
#           log-probabilities is positive, a check of "at most 0" in a client fails, and 1 - exp() of it has no logarithm,
#           on the newer CPUs alone. Of a row with one NaN the other tokens have a probability of 0, which reads like a
#           mask, and no NaN. Comparisons of log-probabilities need a bound in absolute terms, and a test at exactly 1.
set -euo pipefail

grep -qw avx2 /proc/cpuinfo || { echo 'This needs a CPU with avx2.' >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root libdnnl{2,-dev}=2.6.3-1); }
download || { apt-get update -qq && download; }
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
libraries=$dir/root/usr/lib/x86_64-linux-gnu

cat > probe.cpp <<'CPP'
#include <cmath>
#include <cstdio>
#include <dnnl.hpp>
#include <vector>
using namespace dnnl;
using Row = std::vector<float>;

static const engine cpu(engine::kind::cpu, 0);

static Row run(const primitive& made, const memory::desc& shape, Row input) {
  Row output(input.size());
  stream one(cpu);
  made.execute(one, {{DNNL_ARG_SRC, memory(shape, cpu, input.data())}, {DNNL_ARG_DST, memory(shape, cpu, output.data())}});
  one.wait();
  return output;
}
static memory::desc shape_of(const Row& row) {
  return {{1, static_cast<memory::dim>(row.size())}, memory::data_type::f32, memory::format_tag::ab};
}
static Row each(algorithm function, const Row& row, float alpha = 0, float beta = 0) {
  const auto shape = shape_of(row);
  const eltwise_forward::desc described(prop_kind::forward_inference, function, shape, alpha, beta);
  return run(eltwise_forward({described, cpu}), shape, row);
}
static Row softmax(const Row& row) {
  const softmax_forward::desc described(prop_kind::forward_inference, shape_of(row), 1);
  return run(softmax_forward({described, cpu}), shape_of(row), row);
}
static Row log_softmax(const Row& row) {
  const logsoftmax_forward::desc described(prop_kind::forward_inference, shape_of(row), 1);
  return run(logsoftmax_forward({described, cpu}), shape_of(row), row);
}
static void show(const char* name, const Row& row) {
  std::printf("%s:", name);
  for (const float value : row) std::isnan(value) ? std::printf(" nan") : std::printf(" %.3g", value);
  std::printf("\n");
}
int main() {
  show("log of 0.99999, 1, 1.000001 and 1.00001", each(algorithm::eltwise_log, {0.99999F, 1, 1.000001F, 1.00001F}));
  // A next token that is sure: one logit of 20, 31999 from -30 to -20.
  Row logits(32000);
  for (int i = 0; i < 32000; ++i) logits[i] = -30 + i * 7919 % 1000 / 100.F;
  logits[17] = 20;
  const float sure = log_softmax(logits)[17];
  std::printf("log-probability of a sure token: %.3g, the logarithm of all others' probability: ", sure);
  const double others = 1 - std::exp(static_cast<double>(sure));
  others < 0 ? std::printf("nan\n") : std::printf("%.3g\n", std::log(others));
  show("log-probability of the only token", log_softmax({7}));

  show("exp, logistic, tanh of NaN", {each(algorithm::eltwise_exp, {NAN})[0], each(algorithm::eltwise_logistic, {NAN})[0],
                                      each(algorithm::eltwise_tanh, {NAN})[0]});
  show("clip of NaN to -1..1", each(algorithm::eltwise_clip, {NAN}, -1, 1));
  for (const int place : {0, 63, 66}) {
    Row row(67, 1);
    row[place] = NAN;
    int none = 0, zeros = 0;
    for (const float value : softmax(row)) none += std::isnan(value), zeros += value == 0;
    std::printf("softmax of 67 equal numbers with a NaN at %d: %d NaN, %d zeros\n", place, none, zeros);
  }
}
CPP
g++ -std=c++17 -O1 -Iroot/usr/include probe.cpp -o probe -L"$libraries" -ldnnl -Wl,-rpath,"$libraries"
for isa in SSE41 AVX2; do
  echo "ONEDNN_MAX_CPU_ISA=$isa"
  ONEDNN_MAX_CPU_ISA=$isa ./probe
done | tee seen

cat > expected <<'TXT'
ONEDNN_MAX_CPU_ISA=SSE41
log of 0.99999, 1, 1.000001 and 1.00001: -1e-05 0 9.54e-07 1e-05
log-probability of a sure token: 0, the logarithm of all others' probability: -inf
log-probability of the only token: 0
exp, logistic, tanh of NaN: inf nan nan
clip of NaN to -1..1: -1
softmax of 67 equal numbers with a NaN at 0: 1 NaN, 66 zeros
softmax of 67 equal numbers with a NaN at 63: 1 NaN, 66 zeros
softmax of 67 equal numbers with a NaN at 66: 17 NaN, 50 zeros
ONEDNN_MAX_CPU_ISA=AVX2
log of 0.99999, 1, 1.000001 and 1.00001: -1.14e-05 -1.43e-06 -4.77e-07 8.58e-06
log-probability of a sure token: 1.43e-06, the logarithm of all others' probability: nan
log-probability of the only token: 1.43e-06
exp, logistic, tanh of NaN: inf nan nan
clip of NaN to -1..1: -1
softmax of 67 equal numbers with a NaN at 0: 1 NaN, 66 zeros
softmax of 67 equal numbers with a NaN at 63: 1 NaN, 66 zeros
softmax of 67 equal numbers with a NaN at 66: 9 NaN, 58 zeros
TXT
if ! diff expected seen >&2; then
  echo 'CHANGED: the lines above are not as expected' >&2
  exit 1
fi
