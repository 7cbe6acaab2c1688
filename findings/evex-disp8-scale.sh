#!/usr/bin/env bash
# Software  llvm-19 1:19.1.7-3~deb12u1 (llvm-mc, llc, llvm-objdump), nasm 2.16.01-1, binutils 2.40-2, zydis-tools
#           4.0.0-1 as the arbiter
# Guess     An EVEX operand `64(%rdi)` addresses 64 bytes past rdi, whichever assembler encodes it. Assemblers may
#           choose among encodings, but never another address.
# Seen      An 8-bit displacement counts in units of the memory operand, and two assemblers have a wrong unit on file:
#           - LLVM takes 1 byte instead of 8 for the broadcast of vgf2p8affineqb and vgf2p8affineinvqb. What is
#             written 64(%rdi){1to8} reads 512 bytes past rdi. The same happens below any frontend: llc turns a load
#             and a splat in plain IR into that operand, so it compiles a correct program into one that reads
#             elsewhere.
#           - NASM takes 4 bytes instead of 2 for vmovsh and vmovw. What is written [rdi+0x40] reads 32 bytes past
#             rdi.
#           Each toolchain's own disassembler has the same wrong unit and prints back what the programmer wrote. Of
#           2526 memory forms that were assembled with both, gas and LLVM differed in address in these two
#           instructions alone. (A CPU with GFNI sides with Zydis. LLVM's table was corrected after this release.)
# Matters   The 4-bit and 2-bit unpackers of a JIT like the GFNI affine transform, and a broadcast matrix is how it
#           gets its operand. A round trip of a JIT's encoder through one toolchain proves nothing about the address,
#           and neither does llc's output: the oracle has to be a decoder of another family.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
packages=(llvm-19=1:19.1.7-3~deb12u1 libllvm19=1:19.1.7-3~deb12u1 libz3-4=4.8.12-3.1 nasm=2.16.01-1
    binutils-x86-64-linux-gnu=2.40-2 libbinutils=2.40-2 libctf0=2.40-2 zydis-tools=4.0.0-1 libzydis4.0=4.0.0-1
    libzycore1.4=1.4.1-1)
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root "${packages[@]}"); }
download || { apt-get update -qq && download; }
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu:$dir/root/usr/lib/llvm-19/lib
bin=$dir/root/usr/bin
llvm=$dir/root/usr/lib/llvm-19/bin

fail=0
expect() { # what, expected, found
    printf '%-58s %s\n' "$1" "$3"
    [[ $3 == "$2" ]] || { echo "  CHANGED: expected $2" >&2; fail=1; }
}

# The one displacement in what a decoder prints of an object file, a flat file or a list of bytes, in decimal.
att_displacement() { grep -oP '0x[0-9a-f]+(?=\()' | xargs printf '%d'; }
intel_displacement() { grep -oP '\+\K0x[0-9A-Fa-f]+(?=\])' | xargs printf '%d'; }
gnu_displacement() { "$bin/x86_64-linux-gnu-objdump" -d "$1" | att_displacement; }
llvm_displacement() { "$llvm/llvm-objdump" -d "$1" | att_displacement; }
zydis_displacement() { "$bin/ZydisInfo" -64 "$@" | grep 'RELATIVE:' | intel_displacement; }
nasm_displacement() { "$bin/ndisasm" -b 64 "$1" | intel_displacement; }
object_bytes() { "$bin/x86_64-linux-gnu-objdump" -dw "$1" | grep -oP '^\s+0:\t\K[0-9a-f ]+(?=\t)'; }

for op in vgf2p8affineqb vgf2p8affineinvqb; do
    echo "$op \$3, 64(%rdi){1to8}, %zmm1, %zmm2" > gfni.s
    "$bin/x86_64-linux-gnu-as" gfni.s -o gas.o
    "$llvm/llvm-mc" -triple=x86_64 -filetype=obj gfni.s -o llvm.o
    read -ra gas_bytes < <(object_bytes gas.o)
    read -ra llvm_bytes < <(object_bytes llvm.o)
    echo "$op: gas ${gas_bytes[*]}, llvm-mc ${llvm_bytes[*]}"
    expect "  address written 64, encoded by gas, read by Zydis" 64 "$(zydis_displacement "${gas_bytes[@]}")"
    expect "  address written 64, encoded by llvm-mc, read by Zydis" 512 "$(zydis_displacement "${llvm_bytes[@]}")"
    expect "  the same bytes, read by GNU objdump" 512 "$(gnu_displacement llvm.o)"
    expect "  the same bytes, read by llvm-objdump" 64 "$(llvm_displacement llvm.o)"
done

cat > splat.ll <<'IR'
declare <64 x i8> @llvm.x86.vgf2p8affineqb.512(<64 x i8>, <64 x i8>, i8 immarg)
define <64 x i8> @transform(<64 x i8> %x, ptr %matrices) {
  %address = getelementptr i64, ptr %matrices, i64 8
  %matrix = load i64, ptr %address
  %one = insertelement <8 x i64> poison, i64 %matrix, i64 0
  %all = shufflevector <8 x i64> %one, <8 x i64> poison, <8 x i32> zeroinitializer
  %bytes = bitcast <8 x i64> %all to <64 x i8>
  %result = call <64 x i8> @llvm.x86.vgf2p8affineqb.512(<64 x i8> %x, <64 x i8> %bytes, i8 0)
  ret <64 x i8> %result
}
IR
"$llvm/llc" -mtriple=x86_64 -mattr=+avx512bw,+gfni -filetype=obj splat.ll -o splat.o
expect "llc, IR that loads element 8 of i64: objdump's address" 512 "$(gnu_displacement splat.o)"

for op in vmovsh vmovw; do
    printf 'bits 64\n%s xmm2,[rdi+0x40]\n' "$op" > half.asm
    "$bin/nasm" -f elf64 half.asm -o nasm.o
    read -ra nasm_bytes < <(object_bytes nasm.o)
    echo "$op: nasm ${nasm_bytes[*]}"
    expect "  address written 64, encoded by nasm, read by Zydis" 32 "$(zydis_displacement "${nasm_bytes[@]}")"
    expect "  the same bytes, read by GNU objdump" 32 "$(gnu_displacement nasm.o)"
    printf "%b" "$(printf '\\x%s' "${nasm_bytes[@]}")" > nasm.bin
    expect "  the same bytes, read by ndisasm" 64 "$(nasm_displacement nasm.bin)"
done
exit "$fail"
