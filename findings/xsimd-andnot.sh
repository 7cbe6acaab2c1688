#!/usr/bin/env bash
# Software  xsimd 8.1.0-7 (libxsimd-dev), compiled with the system's g++, on a CPU with AVX2 (the script ends with 2 where
#           it doesn't have it)
# Guess     A wrapper of intrinsics gives one source the same results on all instruction sets, and its functions of a scalar
#           are those of a batch with one lane; floats may differ in the last places.
# Seen      bitwise_andnot(x, y) of two masks (batch_bool) is y without x for SSE2, AVX and AVX2, as their instruction has
#           it, and x without y for AVX-512: of 1100 and 1010 the former make 0010 and the latter 0100. The documentation
#           says "the bitwise and not of x and y". By the sources NEON has x without y too; that has not been run. ssub(),
#           the saturated difference, adds the negative, which -128 has none of: -95 - (-128) is 33 and -128 - (-128) is 0
#           where the CPU has an instruction for it, SSE2 and AVX2, and both are -128 for AVX; for a scalar they are -128
#           always, beside a right batch. (Upstream, ssub() was corrected in 2026.)
# Matters   "Allowed but not masked" is an andnot, in attention and in a sampler, and with AVX-512 the same source keeps the
#           masked tokens and drops the others. -128 is the zero point of each int8 tensor whose numbers aren't negative,
#           such as probabilities; its subtraction is right in whole vectors and wrong in the loop over what is left of
#           the row. Kernels on a wrapper need a test per instruction set and for the remainder, at the type's minimum.
set -euo pipefail

grep -qw avx2 /proc/cpuinfo || { echo 'This needs a CPU with avx2.' >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root libxsimd-dev=8.1.0-7); }
download || { apt-get update -qq && download; }
dpkg-deb -x debs/*.deb root

cat > masks.cpp <<'CPP'
#include <cstdio>
#include <xsimd/xsimd.hpp>

// Two masks of four lanes each that differ, as numbers whose bits are lanes.
constexpr unsigned kFirst = 0b1100, kSecond = 0b1010;

#ifdef __AVX512F__
// Masks of AVX-512 are integers, so that the compiler computes this, and any CPU runs it.
unsigned andnot_of_masks() {
  using Mask = xsimd::batch_bool<float, xsimd::avx512f>;
  const Mask result = xsimd::bitwise_andnot(Mask(__mmask16(kFirst)), Mask(__mmask16(kSecond)));
  return result.data;
}
#else
unsigned andnot_of_masks() {
  using Batch = xsimd::batch<float>;
  alignas(64) float first[Batch::size] = {}, second[Batch::size] = {}, lanes[Batch::size];
  for (unsigned lane = 0; lane < 4; ++lane) first[lane] = kFirst >> lane & 1, second[lane] = kSecond >> lane & 1;
  const auto result = xsimd::bitwise_andnot(Batch::load_aligned(first) > Batch(0.F), Batch::load_aligned(second) > Batch(0.F));
  xsimd::select(result, Batch(1.F), Batch(0.F)).store_aligned(lanes);
  unsigned bits = 0;
  for (unsigned lane = 0; lane < 4; ++lane) bits |= unsigned(lanes[lane] == 1) << lane;
  return bits;
}
#endif

int main() {
  const unsigned bits = andnot_of_masks();
  std::printf("andnot of the masks 1100 and 1010: %u%u%u%u\n", bits >> 3 & 1, bits >> 2 & 1, bits >> 1 & 1, bits & 1);
#ifndef __AVX512F__
  using Bytes = xsimd::batch<std::int8_t>;
  using Words = xsimd::batch<std::int32_t>;
  std::printf("andnot of the integers 12 and 10: %d\n", xsimd::bitwise_andnot(Words(12), Words(10)).get(0));
  for (const int value : {-128, -95, 0, 1}) {
    const auto byte = static_cast<std::int8_t>(value), zero_point = static_cast<std::int8_t>(-128);
    std::printf("saturated %d - (-128): a batch %d, a scalar %d\n", value, xsimd::ssub(Bytes(byte), Bytes(zero_point)).get(0),
                xsimd::ssub(byte, zero_point));
  }
#endif
}
CPP
for options in -msse2 -mavx -mavx2 '-mavx512f -mprefer-vector-width=128'; do
  # shellcheck disable=SC2086 # two options
  g++ -std=c++17 -O2 -w $options -Iroot/usr/include masks.cpp -o masks
  echo "${options%% *}"
  ./masks
done | tee seen

cat > expected <<'TXT'
-msse2
andnot of the masks 1100 and 1010: 0010
andnot of the integers 12 and 10: 2
saturated -128 - (-128): a batch 0, a scalar -128
saturated -95 - (-128): a batch 33, a scalar -128
saturated 0 - (-128): a batch 127, a scalar -128
saturated 1 - (-128): a batch 127, a scalar -127
-mavx
andnot of the masks 1100 and 1010: 0010
andnot of the integers 12 and 10: 2
saturated -128 - (-128): a batch -128, a scalar -128
saturated -95 - (-128): a batch -128, a scalar -128
saturated 0 - (-128): a batch -128, a scalar -128
saturated 1 - (-128): a batch -127, a scalar -127
-mavx2
andnot of the masks 1100 and 1010: 0010
andnot of the integers 12 and 10: 2
saturated -128 - (-128): a batch 0, a scalar -128
saturated -95 - (-128): a batch 33, a scalar -128
saturated 0 - (-128): a batch 127, a scalar -128
saturated 1 - (-128): a batch 127, a scalar -127
-mavx512f
andnot of the masks 1100 and 1010: 0100
TXT
if ! diff expected seen >&2; then
  echo 'CHANGED: the lines above are not as expected' >&2
  exit 1
fi
