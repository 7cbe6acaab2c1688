#!/usr/bin/env bash
# Software  qemu-x86_64 7.2+dfsg-7+deb12u18+b3 (qemu-user) with -cpu max
# Guess     A program under QEMU gets the bits that it gets on a processor, subnormal numbers that are flushed included.
# Seen      With FTZ and DAZ set in MXCSR, as in a program linked with -ffast-math, each of the 2046 subnormal halves
#           becomes 0 in vcvtph2ps, and each float that would become one becomes 0 in vcvtps2ph. A processor converts
#           them all: by Intel's manual DAZ doesn't apply to the one nor FTZ to the other, unlike additions and
#           products. With MXCSR as it is at the start of a program QEMU is right for all 65536 halves.
# Matters   The scale of a quantised block is a half, and that of a block of weights below 0.0005 is subnormal. Under
#           QEMU such a block is all zeros, on a processor it isn't, and no test of conversions finds it, since a test
#           sets no flush mode. The reverse is as easy to get wrong: who believes that FTZ flushes halves on a processor
#           too, and leaves out subnormal ones in portable code, is refuted by the hardware and confirmed by the
#           emulator.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
packages=(qemu-user=1:7.2+dfsg-7+deb12u18+b3 libcapstone4=4.0.2-5 liburing2=2.3-3)
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root "${packages[@]}"); }
download || { apt-get update -qq && download; }
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu

cat > halves.c <<'C'
#include <immintrin.h>
#include <math.h>
#include <stdio.h>

// What a half stands for, without any instruction that MXCSR could change: as an integer of 2^-24.
static long scaled(unsigned half) {
  const int exponent = half >> 10 & 31;
  const long fraction = half & 1023;
  const long size = exponent == 0 ? fraction : (fraction + 1024) << (exponent - 1);
  return half & 0x8000 ? -size : size;
}
static void count(const char* name, unsigned mxcsr) {
  int widened = 0, narrowed = 0, subnormal_widened = 0, subnormal_narrowed = 0;
  for (unsigned half = 0; half < 65536; ++half) {
    if ((half & 0x7c00) == 0x7c00) continue; // no number
    const int subnormal = (half & 0x7c00) == 0 && (half & 0x3ff) != 0;
    const float number = ldexpf((float)scaled(half), -24); // a normal float or 0
    _mm_setcsr(mxcsr);
    __m128i input = _mm_set1_epi16((short)half);
    __asm__ volatile("" : "+x"(input));
    const float wide = _mm_cvtss_f32(_mm_cvtph_ps(input));
    __m128 wanted = _mm_set1_ps(number);
    __asm__ volatile("" : "+x"(wanted));
    const unsigned narrow = _mm_extract_epi16(_mm_cvtps_ph(wanted, _MM_FROUND_TO_NEAREST_INT), 0);
    _mm_setcsr(0x1f80);
    const int wide_is_wrong = wide != number, narrow_is_wrong = scaled(narrow) != scaled(half);
    widened += wide_is_wrong;
    narrowed += narrow_is_wrong;
    subnormal_widened += subnormal && wide_is_wrong;
    subnormal_narrowed += subnormal && narrow_is_wrong;
  }
  printf("%s: vcvtph2ps wrong %d (subnormal %d), vcvtps2ph wrong %d (subnormal %d)\n", name, widened, subnormal_widened,
         narrowed, subnormal_narrowed);
}
int main(void) {
  count("MXCSR 0x1f80, no flushing", 0x1f80);
  count("MXCSR 0x9fc0, FTZ and DAZ", 0x9fc0);
}
C
gcc -O1 -mavx -mf16c -static halves.c -o halves -lm
if grep -qw f16c /proc/cpuinfo; then
  echo 'this processor:'
  ./halves | tee processor
else
  echo 'this processor has no such instructions'
fi
echo 'QEMU:'
root/usr/bin/qemu-x86_64 -cpu max ./halves | tee seen

cat > expected <<'TXT'
MXCSR 0x1f80, no flushing: vcvtph2ps wrong 0 (subnormal 0), vcvtps2ph wrong 0 (subnormal 0)
MXCSR 0x9fc0, FTZ and DAZ: vcvtph2ps wrong 2046 (subnormal 2046), vcvtps2ph wrong 2046 (subnormal 2046)
TXT
right='wrong 0 (subnormal 0)'
if ! diff expected seen >&2 || { [[ -f processor ]] && [[ $(grep -oF "$right" processor | wc -l) != 4 ]]; }; then
  echo 'CHANGED: the lines above are not as expected' >&2
  exit 1
fi
