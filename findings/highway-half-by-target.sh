#!/usr/bin/env bash
# Software  Highway 1.0.3-3+deb12u1 (libhwy-dev), compiled with the system's g++, on a CPU with AVX2 and F16C (the script
#           ends with 2 where it doesn't have them)
# Guess     DemoteTo() from float to half might truncate for older CPUs, where the instruction of the newer ones rounds to
#           nearest. What is too large becomes Infinity or the largest half for all of them, but for infinities and NaN,
#           which the documentation leaves to the implementation. The wrong part of the guess is the second.
# Seen      One program has two kinds of halves. For a CPU with AVX2, numbers are rounded to nearest and 65536 is Infinity.
#           For one with SSE4 or SSSE3 they are truncated, every second one to another half, and of a number that is too
#           large the exponent is set to the largest and the mantissa kept: 65504 stays 65504, 65536 becomes 32768, 70000
#           becomes 34976, 131071 becomes 65504 again and 3e38 becomes 57760. The documentation promises the closest number
#           that can be represented. The smallest half, 6e-8, takes what lies above 3e-8 with AVX2 and nothing below it
#           otherwise.
# Matters   Activations of language models do pass 65504, in a few channels, and an overflow to Infinity is noticed at the
#           next layer. Here it is a number of ordinary size, half as large as a smaller input's, and only on the CPUs that
#           nobody has on the desk. Truncated weights are too small by 0.03 % each, which doesn't average out over a row. A
#           conversion has to be tested beyond its range and on every target of the dispatch, not on the machine's own.
set -euo pipefail

for flag in avx2 f16c fma bmi2; do
  grep -qw "$flag" /proc/cpuinfo || { echo "This needs a CPU with $flag." >&2; exit 2; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root libhwy{1,-dev}=1.0.3-3+deb12u1); }
download || { apt-get update -qq && download; }
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
libraries=$dir/root/usr/lib/x86_64-linux-gnu

cat > half.cc <<'CPP'
// Highway compiles this file once for each of its targets.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "half.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>
#include <cstdio>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace halves {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
float through_half(float value) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> half;
  return hn::GetLane(hn::PromoteTo(d, hn::DemoteTo(half, hn::Set(d, value))));
}
} // namespace HWY_NAMESPACE
} // namespace halves
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace halves {
HWY_EXPORT(through_half);
}
float through_half(int64_t target, float value) {
  hwy::SetSupportedTargetsForTest(target);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return HWY_DYNAMIC_DISPATCH(halves::through_half)(value);
}
int main() {
  const float values[] = {1.0009F, 2051, 65504, 65519, 65536, 70000, 100000, 131071, 131072, 1e6F, 3e38F, 1e-5F, 5.9e-8F, 4e-8F};
  std::printf("%-10s %12s %12s %12s\n", "", "AVX2", "SSE4", "SSSE3");
  for (const float value : values) {
    std::printf("%-10.6g", value);
    for (const int64_t target : {HWY_AVX2, HWY_SSE4, HWY_SSSE3}) std::printf(" %12.6g", through_half(target, value));
    std::printf("\n");
  }
  // Each 1009th of the positive floats that lie within the halves' range.
  long all = 0, different = 0, larger = 0;
  for (unsigned bits = 0x33800000; bits < 0x477fe000; bits += 1009) { // 2^-24 to 65504
    float value;
    std::memcpy(&value, &bits, sizeof value);
    const float avx2 = through_half(HWY_AVX2, value), sse4 = through_half(HWY_SSE4, value);
    ++all;
    different += avx2 != sse4;
    larger += sse4 > value;
  }
  std::printf("of floats from 2^-24 to 65504 %.0f %% differ, %ld of SSE4's are larger than the float\n",
              100.0 * different / all, larger);
  // The mean of equally spread numbers, as a matrix of weights has them.
  double exact = 0, avx2 = 0, sse4 = 0;
  for (int i = 0; i < 100000; ++i) {
    const float value = 1 + i / 100000.0F;
    exact += value, avx2 += through_half(HWY_AVX2, value), sse4 += through_half(HWY_SSE4, value);
  }
  std::printf("the mean of 1..2 is off by a factor of 1 %+.5f with AVX2, 1 %+.5f with SSE4\n", avx2 / exact - 1, sse4 / exact - 1);
}
#endif
CPP
# The targets beyond AVX2 only take time to compile.
g++ -std=c++17 -O1 -w -DHWY_COMPILE_ALL_ATTAINABLE '-DHWY_DISABLED_TARGETS=(HWY_AVX3|HWY_AVX3_DL)' -I. -Iroot/usr/include half.cc \
  -o half -L"$libraries" -lhwy -Wl,-rpath,"$libraries"
./half | tee seen

cat > expected <<'TXT'
                   AVX2         SSE4        SSSE3
1.0009          1.00098            1            1
2051               2052         2050         2050
65504             65504        65504        65504
65519             65504        65504        65504
65536               inf        32768        32768
70000               inf        34976        34976
100000              inf        49984        49984
131071              inf        65504        65504
131072              inf        32768        32768
1e+06               inf        62496        62496
3e+38               inf        57760        57760
1e-05       1.00136e-05  9.95398e-06  9.95398e-06
5.9e-08     5.96046e-08            0            0
4e-08       5.96046e-08            0            0
of floats from 2^-24 to 65504 50 % differ, 0 of SSE4's are larger than the float
the mean of 1..2 is off by a factor of 1 +0.00000 with AVX2, 1 -0.00033 with SSE4
TXT
if ! diff expected seen >&2; then
  echo 'CHANGED: the lines above are not as expected' >&2
  exit 1
fi
