#!/usr/bin/env bash
# Software  Open MPI 4.1.4-3+b1 (libopenmpi3) with two processes; called from the system's Python through ctypes
# Guess     What MPI_MAX makes of a NaN and a number is left open by the standard, but it is one rule: in an array where
#           each element has the same two values, each element of the result is the same.
# Seen      Of 67 floats, the first 64 and the last 3 follow opposite rules. Where rank 0 brings NaN and rank 1 brings 1,
#           the maximum is 64 times 1 and three times NaN; with the ranks exchanged, 64 times NaN and three times 1.
#           MPI_MIN does the same, and so does the maximum of +0 and -0: 64 have one sign and 3 have the other. What is
#           left over of whole vectors is compared by other code, with the operands the other way round. Without the
#           component op/avx (--mca op ^avx) all 67 are alike.
# Matters   Ranks that share a softmax or a scale of int8 activations take a maximum with MPI_MAX, and one who debugs a
#           NaN tells by it which rank's, or which row, went wrong. Here a NaN is dropped or kept by its place in the
#           array, so that adding one row moves it, and a check that looks at the first element passes. A maximum that
#           has to be sure takes the bits as integers, or counts its NaNs in a second reduction.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
packages=(openmpi-bin=4.1.4-3+b1 openmpi-common=4.1.4-3 libopenmpi3=4.1.4-3+b1 libhwloc15=2.9.0-1
  libevent-core-2.1-7=2.1.12-stable-8+deb12u1 libevent-pthreads-2.1-7=2.1.12-stable-8+deb12u1 libpmix2=4.2.2-1+deb12u1)
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root "${packages[@]}"); }
download || { apt-get update -qq && download; }
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
lib=$dir/root/usr/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH=$lib:$lib/openmpi/lib OPAL_PREFIX=$dir/root/usr
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

cat > reduce.py <<'PY'
import ctypes, itertools, math
mpi = ctypes.CDLL('libmpi.so.40', mode=ctypes.RTLD_GLOBAL)
handle = lambda name: ctypes.byref(ctypes.c_char.in_dll(mpi, name))
world, floats = handle('ompi_mpi_comm_world'), handle('ompi_mpi_float')
mpi.MPI_Init(None, None)
rank = ctypes.c_int()
mpi.MPI_Comm_rank(world, ctypes.byref(rank))
def word(value):
    return 'NaN' if math.isnan(value) else f'{value:+g}'
for name, values in itertools.product(('max', 'min'), ((math.nan, 1), (1, math.nan), (0.0, -0.0), (-0.0, 0.0))):
    mine = (ctypes.c_float * 67)(*[values[rank.value]] * 67)
    result = (ctypes.c_float * 67)()
    mpi.MPI_Allreduce(mine, result, 67, floats, handle(f'ompi_mpi_op_{name}'), world)
    if rank.value == 0:
        runs = ', '.join(f'{len(list(run))} x {value}' for value, run in itertools.groupby(map(word, result)))
        print(f'{name} of {word(values[0])} on rank 0 and {word(values[1])} on rank 1: {runs}')
mpi.MPI_Finalize()
PY
mpirun() {
  "$dir/root/usr/bin/mpirun.openmpi" -np 2 --oversubscribe --mca pml ob1 --mca btl self,vader "$@" \
    /usr/bin/python3 reduce.py </dev/null 2>errors || { cat errors >&2; exit 1; }
}
mpirun | tr -d '\r' | tee vectors
echo 'without op/avx:'
mpirun --mca op ^avx | tr -d '\r' | tee plain

# A rule that holds for the whole array gives one run a line, a rule by place two: 64 and 3.
split=$(grep -cE ': 64 x [^ ,]+, 3 x [^ ,]+$' vectors) || true
whole=$(grep -cE ': 67 x [^ ,]+$' plain) || true
if [[ $split != 8 || $whole != 8 ]]; then
  echo "CHANGED: expected 8 results in two parts and, without op/avx, 8 in one; found $split and $whole" >&2
  exit 1
fi
