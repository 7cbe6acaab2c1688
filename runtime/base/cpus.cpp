#include "runtime/base/cpus.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <string_view>

#include <fmt/format.h>
#include <hwloc.h>
#include <sched.h>

namespace llamajit {
namespace {

std::vector<int> cpus_of_this_thread() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

struct DestroyTopology {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using Topology = std::unique_ptr<hwloc_topology, DestroyTopology>;

// Cores and their hyper-threads alone: what else hwloc would look for takes longer than packing a small model.
Topology load_topology() {
  hwloc_topology_t topology = nullptr;
  if (hwloc_topology_init(&topology) != 0) return nullptr;
  Topology owner(topology);
  hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
  hwloc_topology_set_type_filter(topology, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
  if (hwloc_topology_load(topology) != 0) return nullptr;
  return owner;
}

// A CPU's place: which of its core's hyper-threads it is, and which core that is.
std::map<int, std::pair<unsigned, unsigned>> places_of_cpus() {
  std::map<int, std::pair<unsigned, unsigned>> places;
  const Topology topology = load_topology();
  if (topology == nullptr) return places;
  const int cores = hwloc_get_nbobjs_by_type(topology.get(), HWLOC_OBJ_CORE);
  for (int core = 0; core < cores; ++core) {
    const auto* const object =
        hwloc_get_obj_by_type(topology.get(), HWLOC_OBJ_CORE, static_cast<unsigned>(core));
    unsigned thread = 0;
    for (int cpu = hwloc_bitmap_first(object->cpuset); cpu >= 0;
         cpu = hwloc_bitmap_next(object->cpuset, cpu)) {
      places.emplace(cpu, std::pair(thread++, object->logical_index));
    }
  }
  return places;
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator(file), std::istreambuf_iterator<char>()};
}

// Of a cgroup's folder; nothing where it has no quota, or says so in another way.
std::optional<double> quota_of(const std::filesystem::path& folder) {
  double quota = 0, period = 0;
  std::istringstream version2(content_of(folder / "cpu.max"));
  std::istringstream version1(content_of(folder / "cpu.cfs_quota_us") + " " +
                              content_of(folder / "cpu.cfs_period_us"));
  if (!(version2 >> quota >> period) && !(version1 >> quota >> period)) return std::nullopt;
  if (quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

std::vector<int> order_by_core(std::vector<int> cpus) {
  const auto places = places_of_cpus();
  std::ranges::stable_sort(cpus, {}, [&](int cpu) {
    const auto found = places.find(cpu);
    return found != places.end() ? found->second : std::pair(0U, 0U);
  });
  return cpus;
}

}  // namespace

const std::vector<int>& allowed_cpus() {
  static const std::vector<int> cpus = cpus_of_this_thread();
  return cpus;
}

const std::vector<int>& allowed_cpus_by_core() {
  static const std::vector<int> cpus = order_by_core(allowed_cpus());
  return cpus;
}

std::vector<int> cpus_of_share(std::vector<std::pair<unsigned, int>> cores_and_cpus, int share, int shares) {
  std::ranges::sort(cores_and_cpus);
  std::vector<unsigned> cores;
  for (const auto& [core, cpu] : cores_and_cpus) {
    if (cores.empty() || cores.back() != core) cores.push_back(core);
  }
  std::vector<int> cpus;
  if (static_cast<std::size_t>(shares) > cores.size()) {  // some have to share a core
    const std::size_t n = cores_and_cpus.size();
    cpus.push_back(
        cores_and_cpus[static_cast<std::size_t>(share) * n / static_cast<std::size_t>(shares)].second);
    return cpus;
  }
  const auto core_at = [&](int at) {
    return cores.size() * static_cast<std::size_t>(at) / static_cast<std::size_t>(shares);
  };
  for (const auto& [core, cpu] : cores_and_cpus) {
    const auto index = static_cast<std::size_t>(std::ranges::lower_bound(cores, core) - cores.begin());
    if (core_at(share) <= index && index < core_at(share + 1)) cpus.push_back(cpu);
  }
  return cpus;
}

CpuShare share_cpus(int share, int shares, int threads) {
  const std::vector<int> bound = cpus_of_this_thread();
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) CPU_SET(static_cast<std::size_t>(cpu), &set);
  (void)sched_setaffinity(0, sizeof set, &set);  // the system leaves what the cgroup has
  const std::vector<int> machine = cpus_of_this_thread();
  const auto places = places_of_cpus();
  std::vector<std::pair<unsigned, int>> cores_and_cpus;
  for (const int cpu : machine) {
    const auto found = places.find(cpu);
    cores_and_cpus.emplace_back(found != places.end() ? found->second.second : static_cast<unsigned>(cpu),
                                cpu);
  }
  std::vector<int> part = cpus_of_share(std::move(cores_and_cpus), share, shares);
  const bool enough = threads > 0 && bound.size() >= static_cast<std::size_t>(threads);
  // Of more than its part, others have some, too.
  const bool stays = bound.size() == part.size() || (bound.size() < part.size() && enough);
  CPU_ZERO(&set);
  for (const int cpu : stays ? bound : part) CPU_SET(static_cast<std::size_t>(cpu), &set);
  (void)sched_setaffinity(0, sizeof set, &set);
  return {static_cast<int>(bound.size()), static_cast<int>(machine.size()),
          !stays && part.size() > bound.size()};
}

int cpus_at_once() {
  const int all = std::max(1, static_cast<int>(allowed_cpus().size()));
  const auto quota = cgroup_cpu_quota("/sys/fs/cgroup", content_of("/proc/self/cgroup"));
  return quota ? static_cast<int>(std::clamp(std::ceil(*quota), 1.0, static_cast<double>(all))) : all;
}

std::optional<double> cgroup_cpu_quota(const std::string& mounts, const std::string& self) {
  std::optional<double> least;
  std::istringstream lines(self);
  for (std::string line; std::getline(lines, line);) {
    // "0::/a/b" in version 2, "4:cpu,cpuacct:/a/b" in version 1.
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool cpu = fmt::format(",{},", controllers).find(",cpu,") != std::string::npos;
    if (!controllers.empty() && !cpu) continue;
    std::filesystem::path mount = mounts;
    if (!controllers.empty()) mount /= controllers;
    std::filesystem::path group =
        std::filesystem::path(line.substr(second + 1)).relative_path().lexically_normal();
    // In a container the path may be the host's, or lead out of what is mounted: then the mount's root is there.
    if (!group.empty() && *group.begin() == "..") group.clear();
    for (bool root = false; !root; group = group.parent_path()) {
      root = group.empty();
      const auto quota = quota_of(root ? mount : mount / group);
      if (quota) least = least ? std::min(*least, *quota) : *quota;
    }
  }
  return least;
}

}  // namespace llamajit
