// The CPUs that this process may use, and in which order threads take them.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace llamajit {

struct Cpus {
  // Those of the affinity mask: one of each core, core by core, before a core's second hyper-thread.
  std::vector<int> order;
  // How many can run at a time: at least 1, at most order.size() and what the cgroup's quota pays for.
  int at_once = 1;
};

// Those of the process: as they were when it was asked first, by a thread that no team had pinned.
const Cpus& allowed_cpus();

// How many CPUs' time the process may spend, by the quotas of its cgroup and those around it, of which the
// least counts; nothing without one. `mounts` is where cgroup filesystems are mounted (/sys/fs/cgroup), `self`
// what /proc/self/cgroup says. Both versions' files are known: cpu.max, and cpu.cfs_quota_us with
// cpu.cfs_period_us (Linux, Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst).
std::optional<double> cgroup_cpu_quota(const std::string& mounts, const std::string& self);

}  // namespace llamajit
