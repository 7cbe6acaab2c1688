#!/usr/bin/env bash
# Software  Open MPI 4.1.4-3+b1 (mpirun), GNU ls of the system as the program that asks where its output goes
# Guess     Where mpirun's own standard output is a file, so is that of the processes that it starts, or a pipe to mpirun:
#           a program that writes colours, progress bars or whole lines for terminals alone writes none of them.
# Seen      Standard output of each process is a terminal of its own, of 0 columns and 0 lines, which mpirun reads and copies
#           into the file; standard error is a pipe. `mpirun ls --color=auto >file` fills the file with escape sequences,
#           where `ls --color=auto >file` has none.
# Matters   A runtime that several processes share prints its text on rank 0. It takes a file for a reader at a terminal,
#           and one that folds lines or draws bars by the terminal's width divides by 0 columns. What its output is can't be
#           seen from within: rank 0 has to write through a pipe of its own, or not to trust isatty() under mpirun.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root work
packages=(openmpi-bin=4.1.4-3+b1 openmpi-common=4.1.4-3 libopenmpi3=4.1.4-3+b1 libhwloc15=2.9.0-1
  libevent-core-2.1-7=2.1.12-stable-8+deb12u1 libevent-pthreads-2.1-7=2.1.12-stable-8+deb12u1 libpmix2=4.2.2-1+deb12u1)
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root "${packages[@]}"); }
download || { apt-get update -qq && download; }
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
lib=$dir/root/usr/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH=$lib:$lib/openmpi/lib OPAL_PREFIX=$dir/root/usr
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
mpirun() { "$dir/root/usr/bin/mpirun.openmpi" -np 1 "$@" </dev/null; }

mpirun sh -c 'exec 3>&1; test -t 1 && echo "standard output: a terminal" || echo "standard output: none"
              test -t 2 && echo "standard error: a terminal" || echo "standard error: none"
              echo "lines and columns: $(stty size <&3)"' >asked 2>errors || { cat errors >&2; exit 1; }
cat asked
colours() { tr -dc '\033' <"$1" | wc -c; }
ls --color=auto -d work >alone
mpirun ls --color=auto -d work >ranks
echo "escape sequences in the file: $(colours alone) of ls alone, $(colours ranks) under mpirun"

expected='standard output: a terminal
standard error: none
lines and columns: 0 0'
if [[ $(cat asked) != "$expected" || $(colours alone) != 0 || $(colours ranks) == 0 ]]; then
  echo 'CHANGED: expected a terminal of 0 lines and 0 columns, and escape sequences under mpirun alone' >&2
  exit 1
fi
