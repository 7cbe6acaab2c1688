#include "runtime/base/cpus.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/toy_model.h"

namespace llamajit::cpus_test {
namespace {

TEST(Cpus, AreThoseOfTheAffinityMaskOnceEach) {
  cpu_set_t set;
  ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  for (const std::vector<int>& cpus : {allowed_cpus(), allowed_cpus_by_core()}) {
    EXPECT_EQ(std::ssize(cpus), CPU_COUNT(&set));
    EXPECT_EQ(std::set(cpus.begin(), cpus.end()).size(), cpus.size());
    for (const int cpu : cpus) EXPECT_TRUE(CPU_ISSET(cpu, &set)) << cpu;
  }
  EXPECT_GE(cpus_at_once(), 1);
  EXPECT_LE(cpus_at_once(), CPU_COUNT(&set));
}

// Files as Linux mounts them.
class CgroupQuota : public ::testing::Test {
 protected:
  void write(const std::string& path, const std::string& content) const {
    const std::filesystem::path file = directory_.path() + "/" + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << content;
  }
  std::optional<double> quota(const std::string& self) const {
    return cgroup_cpu_quota(directory_.path(), self);
  }

  test::TempDirectory directory_;
};

TEST_F(CgroupQuota, IsTheLeastOfTheGroupsAround) {
  EXPECT_EQ(quota("0::/a/b\n"), std::nullopt);
  write("cpu.max", "max 100000\n");
  write("a/cpu.max", "150000 100000\n");
  write("a/b/cpu.max", "400000 100000\n");
  write("c/cpu.max", "50000 100000\n");
  EXPECT_EQ(quota("0::/a/b\n"), 1.5);
  EXPECT_EQ(quota("0::/c\n"), 0.5);
  EXPECT_EQ(quota("0::/\n"), std::nullopt);
}

TEST_F(CgroupQuota, OfVersion1StandsWithItsController) {
  write("cpu,cpuacct/docker/cpu.cfs_quota_us", "250000\n");
  write("cpu,cpuacct/docker/cpu.cfs_period_us", "100000\n");
  write("memory/docker/cpu.cfs_quota_us", "1\n");
  write("memory/docker/cpu.cfs_period_us", "1\n");
  EXPECT_EQ(quota("5:memory:/docker\n2:cpu,cpuacct:/docker\n0::/docker\n"), 2.5);
  write("cpu,cpuacct/docker/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(quota("2:cpu,cpuacct:/docker\n"), std::nullopt) << "-1: none";
}

TEST_F(CgroupQuota, OfAContainerMayStandAtTheRoot) {
  write("cpu.max", "200000 100000\n");
  EXPECT_EQ(quota("0::/../host/path/that/is/not/here\n"), 2.0);
  EXPECT_EQ(quota("nonsense\n\n::\n0:\n"), 2.0) << "what is no line of a cgroup is passed over";
}

// Two cores of two hyper-threads each, numbered as Linux often has them, and a third core.
TEST(CpuShares, AreWholeCoresWhereThereAreEnough) {
  const std::vector<std::pair<unsigned, int>> cpus{{0, 0}, {1, 1}, {2, 2}, {0, 3}, {1, 4}};
  EXPECT_EQ(cpus_of_share(cpus, 0, 1), (std::vector{0, 3, 1, 4, 2}));
  EXPECT_EQ(cpus_of_share(cpus, 0, 2), (std::vector{0, 3}));
  EXPECT_EQ(cpus_of_share(cpus, 1, 2), (std::vector{1, 4, 2}));
  EXPECT_EQ(cpus_of_share(cpus, 2, 3), (std::vector{2}));
}

TEST(CpuShares, AreOneCpuWhereThereAreMoreRanksThanCores) {
  const std::vector<std::pair<unsigned, int>> cpus{{0, 0}, {1, 1}, {0, 2}, {1, 3}};
  std::set<int> taken;
  for (int share = 0; share < 4; ++share) {
    const std::vector<int> own = cpus_of_share(cpus, share, 4);
    ASSERT_EQ(own.size(), 1U);
    taken.insert(own.front());
  }
  EXPECT_EQ(taken.size(), 4U);
  for (int share = 0; share < 9; ++share) EXPECT_EQ(cpus_of_share(cpus, share, 9).size(), 1U);
}

// In a child, since a binding stays.
TEST(CpuShares, MendWhatALauncherBoundTo) {
  const std::size_t all = allowed_cpus().size();
  const auto exit_code = [&](auto check) {
    const pid_t child = fork();
    if (child == 0) _exit(check() ? 0 : 1);
    int status = 0;
    waitpid(child, &status, 0);
    return status;
  };
  const auto bind_to_one = [] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(allowed_cpus().front()), &one);
    sched_setaffinity(0, sizeof one, &one);
  };
  const auto bound = [] {
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    return static_cast<std::size_t>(CPU_COUNT(&set));
  };
  EXPECT_EQ(exit_code([&] {
              bind_to_one();
              const CpuShare share = share_cpus(0, 1, 0);
              return share.before == 1 && bound() >= all && share.widened == (bound() > 1);
            }),
            0);
  EXPECT_EQ(exit_code([&] {  // as many as there are threads
              bind_to_one();
              return !share_cpus(0, 1, 1).widened && bound() == 1;
            }),
            0);
  EXPECT_EQ(exit_code([&] {  // as many ranks as CPUs, each bound to all
              share_cpus(0, static_cast<int>(all), 0);
              return bound() == 1 || all > 2;  // hyper-threads of a core stay together
            }),
            0);
}

}  // namespace
}  // namespace llamajit::cpus_test
