#!/usr/bin/env bash
# Software  llvm-19 1:19.1.7-3~deb12u1 (llvm-mca)
# Guess     A Zen 5 has vpdpbusd on ymm registers twice, in VEX (AVX-VNNI) and in EVEX (AVX512-VNNI). They are one
#           operation in two spellings, as vaddps is, and cost the same. And -mcpu=znver5 knows a Zen 5 from a Zen 4.
# Seen      The model says EVEX takes four times as long as VEX (one result in 2 cycles instead of two in one) and has
#           one cycle of latency more, on xmm and ymm as on zmm. An int8 loop with eight accumulators is forecast at 16
#           cycles in EVEX and at 4 in VEX. Sapphire Rapids' model gives both the same. -mcpu=znver5 prints, byte for
#           byte, the report for znver4, with vaddps on zmm at one a cycle in both.
# Matters   Whoever chooses between two encodings of an int8 dot product, or ranks AVX2 and AVX-512 tiers, by llvm-mca
#           gets a factor of 4 out of the gaps of a table, in favour of the narrower tier. A JIT must rank its kernels by
#           running them.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
packages=(llvm-19=1:19.1.7-3~deb12u1 libllvm19=1:19.1.7-3~deb12u1 libz3-4=4.8.12-3.1)
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root "${packages[@]}"); }
download || { apt-get update -qq && download; }
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu:$dir/root/usr/lib/llvm-19/lib
mca=$dir/root/usr/lib/llvm-19/bin/llvm-mca

fail=0
expect() { # what, expected, found
    printf '%-62s %s\n' "$1" "$3"
    [[ $3 == "$2" ]] || { echo "  CHANGED: expected $2" >&2; fail=1; }
}

# "latency / reciprocal throughput" of one instruction.
cost() { # cpu, instruction
    echo "$2" | "$mca" -mtriple=x86_64 -mcpu="$1" -instruction-tables |
        awk '/^\[1\]    \[2\]/ { getline; print $2 " / " $3; exit }'
}
# Cycles per pass of a loop with eight independent accumulators.
eight_accumulators() { # cpu, prefix
    for i in {4..11}; do echo "$2 vpdpbusd %ymm0, %ymm1, %ymm$i"; done |
        "$mca" -mtriple=x86_64 -mcpu="$1" | awk '/^Block RThroughput/ { print $3 }'
}

expect "znver5: {vex}  vaddps ymm, latency / cycles each" "3 / 0.50" "$(cost znver5 '{vex} vaddps %ymm0, %ymm1, %ymm4')"
expect "znver5: {evex} vaddps ymm" "3 / 0.50" "$(cost znver5 '{evex} vaddps %ymm0, %ymm1, %ymm4')"
expect "znver5: {vex}  vpdpbusd ymm" "3 / 0.50" "$(cost znver5 '{vex} vpdpbusd %ymm0, %ymm1, %ymm4')"
expect "znver5: {evex} vpdpbusd ymm" "4 / 2.00" "$(cost znver5 '{evex} vpdpbusd %ymm0, %ymm1, %ymm4')"
expect "znver5: {vex}  vpdpbusd xmm" "3 / 0.50" "$(cost znver5 '{vex} vpdpbusd %xmm0, %xmm1, %xmm4')"
expect "znver5: {evex} vpdpbusd xmm" "4 / 2.00" "$(cost znver5 '{evex} vpdpbusd %xmm0, %xmm1, %xmm4')"
expect "znver5: {evex} vpdpbusd zmm" "4 / 2.00" "$(cost znver5 '{evex} vpdpbusd %zmm0, %zmm1, %zmm4')"
expect "znver5: eight accumulators, {vex}, cycles a pass" "4.0" "$(eight_accumulators znver5 '{vex}')"
expect "znver5: eight accumulators, {evex}, cycles a pass" "16.0" "$(eight_accumulators znver5 '{evex}')"
expect "sapphirerapids: {vex}  vpdpbusd ymm" "5 / 0.50" "$(cost sapphirerapids '{vex} vpdpbusd %ymm0, %ymm1, %ymm4')"
expect "sapphirerapids: {evex} vpdpbusd ymm" "5 / 0.50" "$(cost sapphirerapids '{evex} vpdpbusd %ymm0, %ymm1, %ymm4')"

cat > kernel.s <<'ASM'
vmovups (%rdi), %zmm6
vaddps %zmm0, %zmm1, %zmm2
vfmadd231ps %zmm6, %zmm1, %zmm3
vpdpbusd %zmm6, %zmm1, %zmm4
vdpbf16ps %zmm6, %zmm1, %zmm5
vcvtph2ps 64(%rdi), %zmm7
vmovups %zmm7, (%rsi)
ASM
for cpu in znver4 znver5; do "$mca" -mtriple=x86_64 -mcpu=$cpu -timeline kernel.s > $cpu.txt; done
verdict=$(cmp -s znver4.txt znver5.txt && echo same || echo different)
expect "reports of znver4 and znver5 on a 512-bit kernel" same "$verdict"
expect "znver5: vaddps zmm" "3 / 1.00" "$(cost znver5 'vaddps %zmm0, %zmm1, %zmm2')"
exit "$fail"
