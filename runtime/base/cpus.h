// The CPUs that this process may use, and in which order threads take them.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace llamajit {

// Those of the process' affinity mask, as it was when it was asked first, by a thread that no team had pinned.
const std::vector<int>& allowed_cpus();

// The same in the order in which fewer threads take them: one of each core, core by core, before any core's
// second hyper-thread. hwloc knows; asking it takes some 15 ms where its plugins are installed.
const std::vector<int>& allowed_cpus_by_core();

// How many of them can run at a time: all, or as many as the cgroup's quota pays for, rounded up; at least 1.
int cpus_at_once();

// For a process that is number `share` of `shares` on a machine, before its CPUs are asked for: it takes its part of those
// that the machine gives it, whole cores one after the other, unless it is bound to as many; or to fewer, which are enough
// for `threads`, where these are not 0.
struct CpuShare {
  int before;   // CPUs that it was bound to
  int machine;  // that it may have
  bool widened;
};
CpuShare share_cpus(int share, int shares, int threads);
// The CPUs of a part, of CPUs and the cores that they belong to.
std::vector<int> cpus_of_share(std::vector<std::pair<unsigned, int>> cores_and_cpus, int share, int shares);

// How many CPUs' time the process may spend, by the quotas of its cgroup and those around it, of which the
// least counts; nothing without one. `mounts` is where cgroup filesystems are mounted (/sys/fs/cgroup), `self`
// what /proc/self/cgroup says. Both versions' files are known: cpu.max, and cpu.cfs_quota_us with
// cpu.cfs_period_us (Linux, Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst).
std::optional<double> cgroup_cpu_quota(const std::string& mounts, const std::string& self);

}  // namespace llamajit
