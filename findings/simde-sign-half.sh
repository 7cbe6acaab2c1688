#!/usr/bin/env bash
# Software  SIMDe 0.7.4~rc2-2 (libsimde-dev), compiled with the system's g++ for x86-64 without and, where the CPU has
#           it, with F16C
# Guess     A portable intrinsic gives the bits of the instruction it is named after; that is what it is for. What may
#           differ is the speed, and a fused multiply-add that the target doesn't have.
# Seen      simde_mm256_sign_epi8(a, b), and its kinds for 16 and 32 bits, give a where b is 0, and the instruction 0.
#           The 128-bit one of the same library is right, and so are the 256-bit ones once -mavx2 hands them on. The
#           last argument of simde_mm256_cvtps_ph, the rounding, is ignored: truncated to a half 2051 is 2052 and 70000
#           is infinity, not 2050 and 65504, and that with -mf16c as well, where the instruction is at hand. With
#           SIMDE_NO_NATIVE simde_mm256_round_ps rounds 0.5, 2.5 and 4.5 to 1, 3 and 5, and simde_mm_round_ps to 0, 2
#           and 4.
# Matters   Kernels for x86 run by SIMDe on other processors, or on one without AVX2 in a test. Where the weights are
#           -1, 0 and 1, a dot product by vpsignb adds up the activations of all zero weights, and a quantiser by round-
#           to-nearest differs by one at each tie. The code is right on the machine on which it was written. Each
#           intrinsic that a port rests on needs a test of its own at 0 and at ties, with the lanes' width that is used.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root libsimde-dev=0.7.4~rc2-2); }
download || { apt-get update -qq && download; }
dpkg-deb -x debs/*.deb root

cat > probe.cpp <<'CPP'
#include <cstdint>
#include <cstdio>
#include <simde/x86/avx2.h>
#include <simde/x86/f16c.h>

// Prints the first `count` of a register's numbers.
template <typename Number, typename Register>
void show(const char* name, const Register& value, int count) {
    Number numbers[sizeof(Register) / sizeof(Number)];
    __builtin_memcpy(numbers, &value, sizeof value);
    std::printf("%s:", name);
    for (int i = 0; i < count; ++i) std::printf(" %g", static_cast<double>(numbers[i]));
    std::printf("\n");
}
template <typename Number, typename Register>
Register cycle(Number a, Number b, Number c) {
    volatile Number three[] = {a, b, c};
    Number numbers[sizeof(Register) / sizeof(Number)];
    for (unsigned i = 0; i < sizeof(Register) / sizeof(Number); ++i) numbers[i] = three[i % 3];
    Register result;
    __builtin_memcpy(&result, numbers, sizeof result);
    return result;
}
template <typename Number>
simde__m256i wide(Number a, Number b, Number c) { return cycle<Number, simde__m256i>(a, b, c); }

int main() {
    show<std::int8_t>("mm256_sign_epi8 of 5 by -1, 0 and 1",
                      simde_mm256_sign_epi8(wide<std::int8_t>(5, 5, 5), wide<std::int8_t>(-1, 0, 1)), 3);
    show<std::int16_t>("mm256_sign_epi16, the same",
                       simde_mm256_sign_epi16(wide<std::int16_t>(5, 5, 5), wide<std::int16_t>(-1, 0, 1)), 3);
    show<std::int32_t>("mm256_sign_epi32, the same",
                       simde_mm256_sign_epi32(wide<std::int32_t>(5, 5, 5), wide<std::int32_t>(-1, 0, 1)), 3);
    show<std::int8_t>("mm_sign_epi8, the same",
                      simde_mm_sign_epi8(cycle<std::int8_t, simde__m128i>(5, 5, 5), cycle<std::int8_t, simde__m128i>(-1, 0, 1)), 3);
    const auto ties = cycle<float, simde__m256>(0.5F, 2.5F, 4.5F);
    const auto short_ties = cycle<float, simde__m128>(0.5F, 2.5F, 4.5F);
    show<float>("mm256_round_ps of 0.5, 2.5 and 4.5, to nearest", (simde_mm256_round_ps(ties, SIMDE_MM_FROUND_TO_NEAREST_INT)), 3);
    show<float>("mm_round_ps, the same", (simde_mm_round_ps(short_ties, SIMDE_MM_FROUND_TO_NEAREST_INT)), 3);
    const auto large = cycle<float, simde__m256>(2051, 70000, -2051);
    const auto halves = simde_mm256_cvtps_ph(large, SIMDE_MM_FROUND_TO_ZERO);
    show<float>("mm256_cvtps_ph of 2051, 70000 and -2051, to zero", simde_mm256_cvtph_ps(halves), 3);
}
CPP
build() { g++ -std=c++17 -O2 -w -Wno-psabi "$@" -Iroot/usr/include probe.cpp -o probe; }
{
  echo 'x86-64'
  build && ./probe
  echo 'x86-64, SIMDE_NO_NATIVE'
  build -DSIMDE_NO_NATIVE && ./probe
} | tee seen
if grep -qw f16c /proc/cpuinfo && grep -qw avx2 /proc/cpuinfo; then
  echo 'with -mavx2 -mf16c' | tee native
  build -mavx2 -mf16c && ./probe | tee -a native
fi

cat > expected <<'TXT'
x86-64
mm256_sign_epi8 of 5 by -1, 0 and 1: -5 5 5
mm256_sign_epi16, the same: -5 5 5
mm256_sign_epi32, the same: -5 5 5
mm_sign_epi8, the same: -5 0 5
mm256_round_ps of 0.5, 2.5 and 4.5, to nearest: 0 2 4
mm_round_ps, the same: 0 2 4
mm256_cvtps_ph of 2051, 70000 and -2051, to zero: 2052 inf -2052
x86-64, SIMDE_NO_NATIVE
mm256_sign_epi8 of 5 by -1, 0 and 1: -5 5 5
mm256_sign_epi16, the same: -5 5 5
mm256_sign_epi32, the same: -5 5 5
mm_sign_epi8, the same: -5 0 5
mm256_round_ps of 0.5, 2.5 and 4.5, to nearest: 1 3 5
mm_round_ps, the same: 0 2 4
mm256_cvtps_ph of 2051, 70000 and -2051, to zero: 2052 inf -2052
TXT
cat > expected-native <<'TXT'
with -mavx2 -mf16c
mm256_sign_epi8 of 5 by -1, 0 and 1: -5 0 5
mm256_sign_epi16, the same: -5 0 5
mm256_sign_epi32, the same: -5 0 5
mm_sign_epi8, the same: -5 0 5
mm256_round_ps of 0.5, 2.5 and 4.5, to nearest: 0 2 4
mm_round_ps, the same: 0 2 4
mm256_cvtps_ph of 2051, 70000 and -2051, to zero: 2052 inf -2052
TXT
if ! diff expected seen >&2 || { [[ -f native ]] && ! diff expected-native native >&2; }; then
  echo 'CHANGED: the lines above are not as expected' >&2
  exit 1
fi
