#!/usr/bin/env bash
# Software  libseccomp 2.5.4-1+deb12u1 (libseccomp-dev, its static library), on the running kernel
# Guess     Several rules that allow one system call allow what any of them allows. A rule that covers another one makes it
#           redundant, whatever their order.
# Seen      "mmap of up to 16 MiB" and "mmap of up to 8 GiB", added one after the other to a filter that denies, allow
#           lengths up to 16 MiB and from 4 GiB to 8 GiB; what lies between 16 MiB and 4 GiB is denied. The wider rule
#           alone allows it. Of 8 and 12 GiB the same, with 10 GiB denied; of 16 and 64 MiB the wider one holds. The order,
#           LT for LE, and the filter as a binary tree (SCMP_FLTATR_CTL_OPTIMIZE 2) change nothing, no call returns an
#           error, and the pseudo code that seccomp_export_pfc() prints reads as if all were allowed. A comparison of 64
#           bits is two of 32, the upper half first. Where the first rule's upper half is equal and the lower one isn't
#           within its bound, the filter ends with the default action, and doesn't go on to the second rule, which has
#           another upper half.
# Matters   A sandbox around an inference runtime bounds the lengths of mappings and of reads, and a model is where they
#           pass 4 GiB. Small allocations work and so does the mapping of a large model, while one of 1 GiB fails with
#           EPERM once a second module adds its own, wider rule; nobody looks for the cause in a rule that allows more. One
#           rule with the widest bound for each system call is safe, and so are bounds below 4 GiB. Rules that come
#           together from several places have to be tried with values on both sides of 4 GiB.
set -euo pipefail

[[ $(uname -m) == x86_64 ]] || { echo 'This needs a CPU of x86-64.' >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root libseccomp-dev=2.5.4-1+deb12u1); }
download || { apt-get update -qq && download; }
dpkg-deb -x debs/*.deb root

cat > bounds.c <<'C'
#include <errno.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kMiB = 1 << 20 };
static const char* name(uint64_t mib, char* text) {
  sprintf(text, mib % 1024 ? "%d MiB" : "%d GiB", (int)(mib % 1024 ? mib : mib / 1024));
  return text;
}
// Loads a filter with a rule for each bound on mmap's length, in a process of its own, and maps nothing but addresses.
static void try(enum scmp_compare compare, int tree, int count, const uint64_t* bounds) {
  static const uint64_t lengths[] = {1, 16, 17, 64, 1024, 4095, 4096, 6144, 8192, 10240, 12288};
  char text[32];
  printf("%s", compare == SCMP_CMP_LE ? "up to" : "less than");
  for (int i = 0; i < count; ++i) printf("%s %s", i ? " or" : "", name(bounds[i], text));
  printf("%s:", tree ? ", as a tree" : "");
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (tree) seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    int failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 0) |
                 seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(exit_group), 0);
    for (int i = 0; i < count; ++i) {
      failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A1(compare, bounds[i] * kMiB));
    }
    if (failed || seccomp_load(filter)) _exit(2);
    static char line[512];
    int used = 0;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; ++i) {
      const long at = syscall(SYS_mmap, 0, lengths[i] * kMiB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (at == -1) used += sprintf(line + used, " %s", name(lengths[i], text));
    }
    used += sprintf(line + used, "\n");
    if (write(1, " denied", 7) != 7 || write(1, line, used) != used) _exit(2);
    _exit(0);
  }
  int status;
  waitpid(child, &status, 0);
  if (status) { fprintf(stderr, "The kernel takes no filter here.\n"); exit(2); }
}
int main(void) {
  try(SCMP_CMP_LE, 0, 1, (uint64_t[]){16});
  try(SCMP_CMP_LE, 0, 1, (uint64_t[]){8192});
  try(SCMP_CMP_LE, 0, 2, (uint64_t[]){16, 8192});
  try(SCMP_CMP_LE, 0, 2, (uint64_t[]){8192, 16});
  try(SCMP_CMP_LT, 0, 2, (uint64_t[]){16, 8192});
  try(SCMP_CMP_LE, 1, 2, (uint64_t[]){16, 8192});
  try(SCMP_CMP_LE, 0, 2, (uint64_t[]){16, 64});
  try(SCMP_CMP_LE, 0, 2, (uint64_t[]){8192, 12288});
  return 0;
}
C
gcc -O1 -Iroot/usr/include bounds.c -o bounds root/usr/lib/x86_64-linux-gnu/libseccomp.a
./bounds > seen || { cat seen; exit 2; }
cat seen

cat > expected <<'TXT'
up to 16 MiB: denied 17 MiB 64 MiB 1 GiB 4095 MiB 4 GiB 6 GiB 8 GiB 10 GiB 12 GiB
up to 8 GiB: denied 10 GiB 12 GiB
up to 16 MiB or 8 GiB: denied 17 MiB 64 MiB 1 GiB 4095 MiB 10 GiB 12 GiB
up to 8 GiB or 16 MiB: denied 17 MiB 64 MiB 1 GiB 4095 MiB 10 GiB 12 GiB
less than 16 MiB or 8 GiB: denied 16 MiB 17 MiB 64 MiB 1 GiB 4095 MiB 8 GiB 10 GiB 12 GiB
up to 16 MiB or 8 GiB, as a tree: denied 17 MiB 64 MiB 1 GiB 4095 MiB 10 GiB 12 GiB
up to 16 MiB or 64 MiB: denied 1 GiB 4095 MiB 4 GiB 6 GiB 8 GiB 10 GiB 12 GiB
up to 8 GiB or 12 GiB: denied 10 GiB
TXT
if ! diff expected seen >&2; then
  echo 'CHANGED: the lines above are not as expected' >&2
  exit 1
fi
