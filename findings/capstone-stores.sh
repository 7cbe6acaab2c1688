#!/usr/bin/env bash
# Software  Capstone 4.0.2-5 (libcapstone4 and its tool cstool), on code assembled by the system's as
# Guess     Of the newer instructions a few have a wrong access, probably of a register that is both read and written. The
#           memory operand of a plain store, which each compiler emits, is WRITE.
# Seen      By Capstone no vector instruction in VEX or EVEX writes memory: all 13 stores tried here, from vmovups to
#           vcvtps2ph and vscatterdps, have their memory operand as READ, and so have movups, movq, movntps, movnti, pextrd
#           and stmxcsr in the old encoding. mov, movss, movaps and movdqu have WRITE. lock cmpxchg reads its memory,
#           modifies no register and no flag. A gather doesn't read the destination whose lanes it may leave, and doesn't
#           clear its mask. Upstream, single instructions have been reported and corrected since 2016.
# Matters   A disassembler's accesses are what a checker of made code goes by: which kernels write, and where, which
#           registers have to be saved, what is dead. Of a kernel for AVX2 such a checker sees no store at all, and finds
#           that it keeps to its buffers. The text and the lengths are right, so that nobody looks into the table. A test
#           of such a checker needs a store in each encoding that the code generator uses.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root libcapstone4=4.0.2-5 capstone-tool=4.0.2-5); }
download || { apt-get update -qq && download; }
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu

# Writes the instructions of standard input, each as its bytes in hexadecimal, a tab and its text.
assembled() {
  as -o code.o - && objdump -dw -M intel code.o |
    awk -F '\t' '/^ / { gsub(/ /, "", $2); gsub(/ +/, " ", $3); sub(/ +$/, "", $3); print $2 "\t" $3 }'
}
# Writes what Capstone says of the operand that is memory, then of each instruction the text.
memory_access() {
  while IFS=$'\t' read -r bytes text; do
    access=$(root/usr/bin/cstool -d x64 "$bytes" | sed -n '/type: MEM/,/access:/s/.*access: //p' | head -n 1)
    echo "${access:-no operand}: $text"
  done
}

{
  echo '1. Instructions that write memory and read none of it'
  assembled <<'S' | memory_access
.intel_syntax noprefix
mov [rax], ecx
movss [rax], xmm1
movaps [rax], xmm1
movups [rax], xmm1
movdqu [rax], xmm1
movq [rax], xmm1
movntps [rax], xmm1
movnti [rax], ecx
pextrd [rax], xmm1, 1
stmxcsr [rax]
vmovss [rax], xmm1
vmovaps [rax], ymm1
vmovups [rax], ymm1
vmovdqu [rax], ymm1
vmovntps [rax], ymm1
vmaskmovps [rax], ymm1, ymm2
vextractf128 [rax], ymm1, 1
vpextrb [rax], xmm1, 1
vcvtps2ph [rax], ymm1, 0
vmovups [rax], zmm1
vmovdqu8 [rax]{k1}, zmm1
vpmovdb [rax], zmm1
vscatterdps [rax+zmm2*4]{k1}, zmm1
S
  echo '2. Instructions that read and write memory'
  assembled <<'S' | memory_access
.intel_syntax noprefix
add [rax], ecx
lock xadd [rax], ecx
lock cmpxchg [rcx], edx
S
  echo '3. Registers'
  assembled <<'S' | while IFS=$'\t' read -r bytes text; do
.intel_syntax noprefix
vfmadd231ps ymm3, ymm2, ymm1
vgatherdps ymm3, [rax+ymm2*4], ymm1
lock cmpxchg [rcx], edx
sqrtss xmm2, xmm1
movss xmm2, xmm1
S
    root/usr/bin/cstool -d x64 "$bytes" | tr -s '\t ' ' ' | awk -v text="$text" '
      /Registers read:/ { sub(/^ *Registers read: */, ""); read = $0 }
      /Registers modified:/ { sub(/^ *Registers modified: */, ""); modified = $0 }
      END { print text ": reads " read ", modifies " (modified == "" ? "nothing" : modified) }'
  done
} | sed 's/ *$//; s/ ,/,/' | tee seen

cat > expected <<'TXT'
1. Instructions that write memory and read none of it
WRITE: mov DWORD PTR [rax],ecx
WRITE: movss DWORD PTR [rax],xmm1
WRITE: movaps XMMWORD PTR [rax],xmm1
READ: movups XMMWORD PTR [rax],xmm1
WRITE: movdqu XMMWORD PTR [rax],xmm1
READ: movq QWORD PTR [rax],xmm1
READ: movntps XMMWORD PTR [rax],xmm1
READ: movnti DWORD PTR [rax],ecx
READ: pextrd DWORD PTR [rax],xmm1,0x1
READ: stmxcsr DWORD PTR [rax]
READ: vmovss DWORD PTR [rax],xmm1
READ: vmovaps YMMWORD PTR [rax],ymm1
READ: vmovups YMMWORD PTR [rax],ymm1
READ: vmovdqu YMMWORD PTR [rax],ymm1
READ: vmovntps YMMWORD PTR [rax],ymm1
READ: vmaskmovps YMMWORD PTR [rax],ymm1,ymm2
READ: vextractf128 XMMWORD PTR [rax],ymm1,0x1
READ: vpextrb BYTE PTR [rax],xmm1,0x1
READ: vcvtps2ph XMMWORD PTR [rax],ymm1,0x0
READ: vmovups ZMMWORD PTR [rax],zmm1
READ: vmovdqu8 ZMMWORD PTR [rax]{k1},zmm1
READ: vpmovdb XMMWORD PTR [rax],zmm1
READ: vscatterdps DWORD PTR [rax+zmm2*4]{k1},zmm1
2. Instructions that read and write memory
READ | WRITE: add DWORD PTR [rax],ecx
READ | WRITE: lock xadd DWORD PTR [rax],ecx
READ: lock cmpxchg DWORD PTR [rcx],edx
3. Registers
vfmadd231ps ymm3,ymm2,ymm1: reads ymm3 ymm2 ymm1, modifies ymm3
vgatherdps ymm3,DWORD PTR [rax+ymm2*4],ymm1: reads rax ymm2 ymm1, modifies ymm3
lock cmpxchg DWORD PTR [rcx],edx: reads eax rcx edx, modifies nothing
sqrtss xmm2,xmm1: reads xmm1, modifies xmm2
movss xmm2,xmm1: reads xmm2 xmm1, modifies xmm2
TXT
if ! diff expected seen >&2; then
  echo 'CHANGED: the lines above are not as expected' >&2
  exit 1
fi
