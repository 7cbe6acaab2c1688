#!/usr/bin/env bash
# Software  MPICH 4.0.2-3+b1 (libmpich12) with two and four processes; called from the system's Python through ctypes
# Guess     Which of a NaN and a number is the maximum is left open, but after MPI_Allreduce all ranks hold the same
#           result. That is the difference between it and MPI_Reduce.
# Seen      Where rank 3 of 4 brings NaN, MPI_MAX of one float is NaN, 3, 2 and 3 on the four ranks, and MPI_MAXLOC
#           names the ranks 2, 1, 2 and 3 as those that have the maximum. Of two ranks the one has NaN and the other 1.
#           The maximum of +0 and -0 is +0 on one rank and -0 on the other, without any NaN. Each rank compares its own
#           value with what it receives, its own first, and so each pair of ranks asks the question the other way
#           round. Of 67 floats all ranks have the same, by another algorithm, which the size chooses. Sums are the
#           same at any size, and Open MPI's are.
# Matters   A vocabulary split over ranks is searched for the likeliest token by MPI_MAXLOC of one pair, exactly this
#           size. With a NaN in one rank's part each rank goes on with another token: no error, no hang, but caches
#           that belong to four different texts. A rank that takes "is it finite" from a maximum leaves a loop that the
#           others stay in. A choice has to be made by one rank and broadcast, or by integers, which have one order.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
packages=(mpich=4.0.2-3+b1 libmpich12=4.0.2-3+b1 libhwloc15=2.9.0-1 libucx0=1.13.1-1 libslurm38=22.05.8-4+deb12u3)
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root "${packages[@]}"); }
download || { apt-get update -qq && download; }
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu
export UCX_TLS=self,posix,sysv,tcp UCX_LOG_LEVEL=error

cat > reduce.py <<'PY'
import ctypes, math, struct
mpi = ctypes.CDLL('libmpich.so.12', mode=ctypes.RTLD_GLOBAL)
# MPICH's handles are integers, fixed by its binary interface.
handle = lambda number: ctypes.c_int(number).value
world, char, floats, pairs = map(handle, (0x44000000, 0x4c000101, 0x4c00040a, 0x8c000000))
maximum, total, located = map(handle, (0x58000001, 0x58000003, 0x5800000c))
mpi.MPI_Init(None, None)
rank, ranks = ctypes.c_int(), ctypes.c_int()
mpi.MPI_Comm_rank(world, ctypes.byref(rank))
mpi.MPI_Comm_size(world, ctypes.byref(ranks))
rank, ranks = rank.value, ranks.value

class Pair(ctypes.Structure):
    _fields_ = [('value', ctypes.c_float), ('rank', ctypes.c_int)]

def show(name, operation, kind, datatype, count, mine, word):
    send, result = (kind * count)(*[mine] * count), (kind * count)()
    mpi.MPI_Allreduce(send, result, count, datatype, operation, world)
    text = ctypes.create_string_buffer(word(result[0]).encode(), 16)
    gathered = ctypes.create_string_buffer(16 * ranks)
    mpi.MPI_Gather(text, 16, char, gathered, 16, char, 0, world)
    if rank == 0:
        words = [gathered.raw[at:at + 16].rstrip(b'\0').decode() for at in range(0, 16 * ranks, 16)]
        print(f'{name} of {count} on {ranks} ranks: ' + ', '.join(words), flush=True)

number = lambda value: f'{value:+g}'
mine = math.nan if rank == ranks - 1 else rank + 1.0
show('MPI_MAX, NaN on the last rank,', maximum, ctypes.c_float, floats, 1, mine, number)
show('MPI_MAXLOC, NaN on the last rank,', located, Pair, pairs, 1, (mine, rank), lambda pair: f'rank {pair.rank}')
show('MPI_MAX of zeros, negative on the last rank,', maximum, ctypes.c_float, floats, 1, -0.0 if rank == ranks - 1 else 0.0, number)
show('MPI_MAX, no NaN,', maximum, ctypes.c_float, floats, 1, rank + 1.0, number)
show('MPI_SUM, NaN on the last rank,', total, ctypes.c_float, floats, 1, mine, number)
show('MPI_MAX, NaN on the last rank,', maximum, ctypes.c_float, floats, 67, mine, number)
mpi.MPI_Finalize()
PY
for processes in 2 4; do
  root/usr/bin/mpiexec.hydra -launcher fork -np "$processes" /usr/bin/python3 reduce.py </dev/null
done | tee seen

cat > expected <<'TXT'
MPI_MAX, NaN on the last rank, of 1 on 2 ranks: +nan, +1
MPI_MAXLOC, NaN on the last rank, of 1 on 2 ranks: rank 0, rank 1
MPI_MAX of zeros, negative on the last rank, of 1 on 2 ranks: -0, +0
MPI_MAX, no NaN, of 1 on 2 ranks: +2, +2
MPI_SUM, NaN on the last rank, of 1 on 2 ranks: +nan, +nan
MPI_MAX, NaN on the last rank, of 67 on 2 ranks: +nan, +nan
MPI_MAX, NaN on the last rank, of 1 on 4 ranks: +nan, +3, +2, +3
MPI_MAXLOC, NaN on the last rank, of 1 on 4 ranks: rank 2, rank 1, rank 2, rank 3
MPI_MAX of zeros, negative on the last rank, of 1 on 4 ranks: -0, +0, +0, +0
MPI_MAX, no NaN, of 1 on 4 ranks: +4, +4, +4, +4
MPI_SUM, NaN on the last rank, of 1 on 4 ranks: +nan, +nan, +nan, +nan
MPI_MAX, NaN on the last rank, of 67 on 4 ranks: +nan, +nan, +nan, +nan
TXT
if ! diff expected seen >&2; then
  echo 'CHANGED: the lines above are not as expected' >&2
  exit 1
fi
