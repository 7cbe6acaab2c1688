#!/usr/bin/env bash
# Software  OpenBLAS 0.3.21+ds-4 (libopenblas0-pthread) with its kernels for Haswell, and BLIS 0.9.0-1 beside it, on a
#           CPU that has AVX2 and FMA (the script ends with 2 where it doesn't)
# Guess     The sums of a matrix product depend on the sizes and on the number of threads in their last bits. Within one
#           product, equal rows of the left matrix give equal rows, bit by bit, for each element is the same sum.
# Seen      With five equal rows (and 64 columns, of 256 products each) the fifth row of cblas_sgemm's result differs
#           from the other four. Of 33 equal rows there are three different ones, of 130 with two threads four. Where
#           all rows are equal and all columns too, one product has two values. The borders lie between the kernel's
#           blocks of rows and what is left over, whose sums are taken in another order, and threads move them: of seven
#           rows the last three differ with one thread and none with two. BLIS gives one row and one value each time.
# Matters   A batch with the same prompt in all places is the first test of a server, and the usual explanation for
#           answers that differ ("another batch size") doesn't hold here: it is one batch. Two sequences that began
#           alike part at the first near tie of two tokens, and the cached prefix of one isn't that of the other. Who
#           promises the same output for the same input has to give each row the same order of sums at each place, as a
#           kernel without leftovers does.
set -euo pipefail

for flag in avx2 fma; do
  grep -qw "$flag" /proc/cpuinfo || { echo "This needs a CPU with $flag." >&2; exit 2; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
packages=(libopenblas0-pthread=0.3.21+ds-4 libblis4-pthread=0.9.0-1 libgfortran5=12.2.0-14+deb12u1)
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root "${packages[@]}"); }
download || { apt-get update -qq && download; }
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
lib=$dir/root/usr/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH=$lib OPENBLAS_CORETYPE=Haswell

cat > product.py <<'PY'
import ctypes, random, sys
blas = ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)
row_major, plain, transposed = 101, 111, 112
random.seed(1)

def repeated(count, inner):
    values = [random.gauss(0, 1) for _ in range(inner)]
    return (ctypes.c_float * (count * inner))(*(values * count))

def product(left, right, rows, columns, inner):
    result = (ctypes.c_float * (rows * columns))()
    blas.cblas_sgemm(row_major, plain, transposed, rows, columns, inner, ctypes.c_float(1), left, inner,
                     right, inner, ctypes.c_float(0), result, columns)
    return result

for rows, columns, inner in ((5, 64, 256), (7, 64, 1000), (33, 100, 4096), (130, 130, 512)):
    left = repeated(rows, inner)
    right = (ctypes.c_float * (columns * inner))(*(random.gauss(0, 1) for _ in range(columns * inner)))
    whole = bytes(product(left, right, rows, columns, inner))
    different = {whole[at:at + 4 * columns] for at in range(0, len(whole), 4 * columns)}
    elements = set(product(left, repeated(columns, inner), rows, columns, inner))
    print(f'  {rows} equal rows: {len(different)} different; with {columns} equal columns: {len(elements)} different elements')
PY
for threads in 1 2; do
  export OPENBLAS_NUM_THREADS=$threads BLIS_NUM_THREADS=$threads
  for library in openblas-pthread/libopenblas.so.0 blis-pthread/libblis.so.4; do
    echo "${library%%-*}, threads: $threads"
    /usr/bin/python3 product.py "$lib/$library"
  done
done | tee seen

# How the rows are shared out among threads depends on the machine, so that what two threads of OpenBLAS do is only shown.
one=$(sed -n '/^openblas, threads: 1/,/^blis/p' seen | grep -cE 'rows: ([2-9]) different; .*: ([2-9]) different') || true
blis=$(sed -n '/^blis/,/^openblas/p' seen | grep -c 'rows: 1 different; .*: 1 different') || true
if [[ $one != 4 || $blis != 8 ]]; then
  echo "CHANGED: expected 4 products of OpenBLAS with different rows and 8 of BLIS without, found $one and $blis" >&2
  exit 1
fi
